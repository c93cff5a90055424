"""The index: rows that follow from the journal. SQL lives here and nowhere else."""
