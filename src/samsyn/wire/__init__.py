"""Protocol machines without I/O: bytes in, events and bytes out. Sync, pure, bounded by limits.py."""
