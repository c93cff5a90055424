"""The words: frozen values that every room shares. No I/O, no rules."""
