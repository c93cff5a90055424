"""Synthetic pictures that look like anatomy: each module makes the pixels or samples of one kind."""
