"""Shipped profiles as TOML files: `standard`, and two invented, realistic dialects."""
