"""The HTTP door for connected systems: TLS on both sides, known by the client certificate."""
