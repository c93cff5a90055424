"""Who is it: log-in through an identity provider, sessions of people, tokens of systems."""
