"""The operators' door: health and metrics. Nothing personal passes here."""
