"""Reads of what series were ordered as."""

from samsyn.store.index.port import IndexConnection


def requests_of(connection: IndexConnection, series_keys: list[int]) -> dict[int, list[tuple[str, str, str]]]:
    """(step id, procedure id, accession) of each series that tells what it answers, in order."""
    found: dict[int, list[tuple[str, str, str]]] = {}
    for first in range(0, len(series_keys), 500):
        part = series_keys[first : first + 500]
        rows = connection.execute(
            "SELECT series_key, step_id, procedure_id, accession FROM series_request WHERE series_key IN"
            f" ({','.join('?' * len(part))}) ORDER BY series_key, place",
            part,
        )
        for row in rows:
            found.setdefault(row[0], []).append((row[1], row[2], row[3]))
    return found
