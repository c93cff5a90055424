"""Reading messages beside the serving process while many wait: a child that turns bytes into what they mean."""
