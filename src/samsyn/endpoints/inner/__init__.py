"""The door between nodes: bytes that one has on its disk only."""
