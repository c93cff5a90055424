"""Compiles a predicate (model.predicate) to SQL over an item table's columns; agrees with `holds` always."""

from typing import Final

from samsyn.model.predicate import (
    AllOf,
    AnyOf,
    Everything,
    HasOwner,
    IsPreliminary,
    Nothing,
    Overlaps,
    PatientIn,
    Predicate,
    ProviderIs,
    Span,
    UnitDuring,
    UnitIs,
    Without,
)

_WIDTH: Final = 16


def compile_predicate(predicate: Predicate, table: str) -> tuple[str, list[object]]:
    """(SQL condition, parameters) for rows of `table` (name or alias); never NULL, always 0 or 1."""
    match predicate:
        case Nothing():
            return "FALSE", []
        case Everything():
            return "TRUE", []
        case PatientIn(keys):
            if not keys:
                return "FALSE", []
            return f"{table}.patient_key IN ({','.join('?' * len(keys))})", [*sorted(keys)]
        case ProviderIs(provider):
            return ("FALSE", []) if not provider else (f"{table}.provider = ?", [provider])
        case UnitIs(provider, unit):
            if not provider or not unit:
                return "FALSE", []
            return f"({table}.provider = ? AND {table}.unit = ?)", [provider, unit]
        case UnitDuring(provider, unit, spans):
            return _joined((UnitIs(provider, unit), Overlaps(spans)), " AND ", "TRUE", table)
        case HasOwner():
            return f"({table}.provider <> '' AND {table}.unit <> '')", []
        case Overlaps(spans):
            return _any_span(spans, table)
        case IsPreliminary():
            return f"{table}.preliminary <> 0", []
        case AllOf(parts):
            return _joined(parts, " AND ", "TRUE", table)
        case AnyOf(parts):
            return _joined(parts, " OR ", "FALSE", table)
        case Without(part):
            sql, parameters = compile_predicate(part, table)
            return f"(NOT {sql})", parameters


def _any_span(spans: tuple[Span, ...], table: str) -> tuple[str, list[object]]:
    """Joined by halves: an engine bounds the depth of a chain of "or"."""
    if len(spans) <= _WIDTH:
        pieces = [_overlaps(first, last, table) for first, last in spans]
    else:
        middle = len(spans) // 2
        pieces = [_any_span(spans[:middle], table), _any_span(spans[middle:], table)]
    return _with_word(pieces, " OR ", "FALSE")


def _overlaps(first: int | None, last: int | None, table: str) -> tuple[str, list[object]]:
    conditions: list[str] = []
    parameters: list[object] = []
    if last is not None:
        conditions.append(f"({table}.begins IS NULL OR {table}.begins <= ?)")
        parameters.append(last)
    if first is not None:
        conditions.append(f"({table}.ends IS NULL OR {table}.ends >= ?)")
        parameters.append(first)
    return ("(" + " AND ".join(conditions) + ")" if conditions else "TRUE"), parameters


def _joined(parts: tuple[Predicate, ...], word: str, empty: str, table: str) -> tuple[str, list[object]]:
    return _with_word([compile_predicate(part, table) for part in parts], word, empty)


def _with_word(pieces: list[tuple[str, list[object]]], word: str, empty: str) -> tuple[str, list[object]]:
    if not pieces:
        return empty, []
    return (
        "(" + word.join(sql for sql, _ in pieces) + ")",
        [value for _, parameters in pieces for value in parameters],
    )
