"""The audit journal: who did what with whose information. Append-only and hash-chained."""
