"""The HTTP listeners that the doors stand behind: the open one, and the one for systems with TLS on both sides."""
