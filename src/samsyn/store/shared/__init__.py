"""What nodes share beside the record: sessions, log-ins under way, leases. Volatile; in no journal, never replayed."""
