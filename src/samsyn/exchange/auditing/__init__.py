"""Telling others what the audit journal holds: the national log service, and syslog receivers (ATNA)."""
