"""One module for each family of messages: from segments to meaning, by a source's rules."""
