"""The steward's console: what waits, whose numbers are whose, and what was done, each act with its undo."""
