"""What the door offers, as tables: addressed by the door, told to clients, written into the conformance statement."""
