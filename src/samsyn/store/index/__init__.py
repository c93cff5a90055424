"""The index: rows that follow from the journal. Readers' SQL lives here; a decision inside a record asks its
Transaction for the few rows that it decides on, where it decides."""
