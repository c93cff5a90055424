"""Reading what was stored: every function takes a View, and what the View does not show does not exist."""
