"""Pictures from stored frames: decoded in child processes, shown as the header says, kept as derived files."""
