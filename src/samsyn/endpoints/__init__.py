"""The doors: each speaks one protocol, translates, and holds no rules."""
