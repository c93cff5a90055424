"""Pages of a provider's block administrator: requests to lift, and a person's blocks, lifts, grounds and relations."""
