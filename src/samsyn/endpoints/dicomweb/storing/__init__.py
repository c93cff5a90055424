"""STOW-RS (PS3.18 10.5): what comes in, and what is told about it."""
