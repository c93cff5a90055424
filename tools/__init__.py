"""Programs that build and check the project; nothing here is part of what runs at a site."""
