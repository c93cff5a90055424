"""Durable work that follows from something stored: made in the same record, done later, retried."""
