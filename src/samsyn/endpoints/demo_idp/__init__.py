"""The demo identity provider: a real OpenID provider for invented people, on loopback only and marked as demo."""
