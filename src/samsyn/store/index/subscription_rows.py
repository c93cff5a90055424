"""Reads of FHIR subscriptions and of what happened to texts."""

from datetime import datetime
from typing import Final

from samsyn.model.predicate import Predicate
from samsyn.model.subscriptions import Subscription, SubscriptionStatus, TextChange
from samsyn.store.index.port import IndexConnection, Row
from samsyn.store.index.predicate_sql import compile_predicate

_SELECT: Final = (
    "SELECT subscription_id, provider, system, criteria, endpoint, payload, heartbeat_s, reason, ends, created, status,"
    " error, study_cursor, text_cursor, events, failing_since FROM subscription"
)
_TEXTS: Final = (("report", "report_key", "filler_id"), ("referral", "referral_key", "placer_id"))


def every(connection: IndexConnection) -> list[Subscription]:
    """All of them, the oldest first."""
    return [_subscription(row) for row in connection.execute(f"{_SELECT} ORDER BY created, subscription_id")]


def of_system(connection: IndexConnection, provider: str, system: str) -> list[Subscription]:
    """Those of one system."""
    rows = connection.execute(
        f"{_SELECT} WHERE provider = ? AND system = ? ORDER BY created, subscription_id", (provider, system)
    )
    return [_subscription(row) for row in rows]


def ends_of_feeds(connection: IndexConnection) -> tuple[int, int]:
    """The last change of a study and of a text: where somebody begins who subscribes now."""
    studies = connection.execute("SELECT COALESCE(MAX(change_key), 0) FROM change").fetchone()[0]
    texts = connection.execute("SELECT COALESCE(MAX(text_change_key), 0) FROM text_change").fetchone()[0]
    return int(studies), int(texts)


def texts(
    connection: IndexConnection, predicate: Predicate, after: int, scanned: int, limit: int
) -> tuple[list[TextChange], int]:
    """What happened to texts that the predicate shows, behind `after`, oldest first; and how far was looked."""
    last = ends_of_feeds(connection)[1]
    until = min(last, after + scanned)
    found: list[TextChange] = []
    for kind, key, number in _TEXTS:
        sql, parameters = compile_predicate(predicate, kind)
        rows = connection.execute(
            f"SELECT text_change_key, patient_key, provider, accession, {number}, text_change.told"
            f" FROM text_change JOIN {kind} ON {kind}.{key} = row_key"
            f" WHERE text_change_key > ? AND text_change_key <= ? AND text_change.kind = ? AND {sql}"
            " ORDER BY text_change_key LIMIT ?",
            [after, until, kind, *parameters, limit + 1],
        )
        found += [
            TextChange(row[0], kind, row[1], row[2], row[3], row[4], datetime.fromisoformat(row[5]))
            for row in rows
        ]
    found.sort(key=lambda each: each.cursor)
    if len(found) > limit:
        return found[:limit], found[limit - 1].cursor
    return found, max(until, after)


def _subscription(row: Row) -> Subscription:
    return Subscription(
        subscription_id=row[0],
        provider=row[1],
        system=row[2],
        criteria=row[3],
        endpoint=row[4],
        payload=row[5],
        heartbeat_s=row[6],
        reason=row[7],
        ends=datetime.fromisoformat(row[8]) if row[8] else None,
        created=datetime.fromisoformat(row[9]),
        status=SubscriptionStatus(row[10]),
        error=row[11],
        study_cursor=row[12],
        text_cursor=row[13],
        events=row[14],
        failing_since=datetime.fromisoformat(row[15]) if row[15] else None,
    )
