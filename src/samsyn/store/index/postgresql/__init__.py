"""The index in PostgreSQL: for several nodes, or where the region runs its databases itself."""
