"""Reads of the access registers: care relation, consent, block, lift.

`Ask` runs one statement and answers with tuples, on a reader's connection or inside a record in the making.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, TypeAlias

from samsyn.model.predicate import Item
from samsyn.model.registers import (
    Block,
    BlockKind,
    CareRelation,
    Consent,
    Ground,
    Lift,
    LiftAnswer,
    LiftRequest,
)
from samsyn.store.index import national_rows
from samsyn.store.index.port import IndexConnection

Ask: TypeAlias = Callable[..., list[Any]]

_RELATION = (
    "SELECT relation_id, patient_key, provider, unit, employee, starts, ends, source FROM care_relation"
)
_CONSENT = "SELECT consent_id, patient_key, ground, provider, unit, employee, starts, ends, channel, ended FROM consent"
_BLOCK = "SELECT block_id, patient_key, kind, provider, unit, first_day, last_day, ended FROM block"
_KINDS = {kind.value: kind for kind in BlockKind}
_LIFT = "SELECT lift_id, block_id, patient_key, unit, employee, starts, ends, reason, ended FROM lift"

_REQUEST = (
    "SELECT request_id, patient_key, owner, provider, unit, employee, asker, for_unit, phone, need, asked, answered,"
    " answer, told, until FROM lift_request"
)


def asking(connection: IndexConnection) -> Ask:
    """An Ask on a reader's connection."""
    return lambda sql, *values: connection.execute(sql, values).fetchall()


def relations_of(ask: Ask, keys: Collection[int], now: str) -> tuple[CareRelation, ...]:
    """Care relations of these persons that have not ended before `now`."""
    return tuple(_relation(row) for row in _of(ask, _RELATION, keys, "ends > ?", now))


def consents_of(ask: Ask, keys: Collection[int], now: str) -> tuple[Consent, ...]:
    """Grounds of these persons that have not ended before `now`."""
    condition = "(ends IS NULL OR ends > ?) AND (ended IS NULL OR ended > ?)"
    return tuple(_consent(row) for row in _of(ask, _CONSENT, keys, condition, now, now))


def blocks_of(ask: Ask, keys: Collection[int], now: str) -> tuple[Block, ...]:
    """Blocks of these persons that have not been ended before `now`; those of the national service among them."""
    return own_blocks_of(ask, keys, now) + national_rows.blocks_of(ask, keys)


def own_blocks_of(ask: Ask, keys: Collection[int], now: str) -> tuple[Block, ...]:
    """The same without the national ones: those that are kept, and can be ended, here."""
    rows = _of(ask, _BLOCK, keys, "(ended IS NULL OR ended > ?)", now)
    # Somebody may have hundreds: what `_block` makes, without a call and a default for each.
    return tuple(
        [
            tuple.__new__(
                Block,
                (block_id, key, _KINDS[kind], provider, unit, first, last, _time(ended) if ended else None),
            )
            for block_id, key, kind, provider, unit, first, last, ended in rows
        ]
    )


def lifts_of(ask: Ask, keys: Collection[int], now: str) -> tuple[Lift, ...]:
    """Lifts of these persons that have not ended before `now`; those of the national service among them."""
    condition = "ends > ? AND (ended IS NULL OR ended > ?)"
    own = tuple(_lift(row) for row in _of(ask, _LIFT, keys, condition, now, now))
    return own + national_rows.lifts_of(ask, keys, now)


def blocks_at(ask: Ask, provider: str, now: str) -> tuple[Block, ...]:
    """Blocks in force at one provider, for its block administrator."""
    rows = ask(
        f"{_BLOCK} WHERE provider = ? AND (ended IS NULL OR ended > ?) ORDER BY first_day, block_id",
        provider,
        now,
    )
    return tuple(_block(row) for row in rows)


def lift_requests_at(ask: Ask, owner: str, since: str) -> tuple[LiftRequest, ...]:
    """Requests to one provider that were asked after `since`, the oldest first."""
    rows = ask(f"{_REQUEST} WHERE owner = ? AND asked > ? ORDER BY asked, request_id", owner, since)
    return tuple(_request(row) for row in rows)


def lift_requests_of(ask: Ask, keys: Collection[int], since: str) -> tuple[LiftRequest, ...]:
    """Requests about these persons that were asked after `since`."""
    return tuple(_request(row) for row in _of(ask, _REQUEST, keys, "asked > ?", since))


def lift_requests_by(ask: Ask, employee: str, since: str) -> tuple[LiftRequest, ...]:
    """Requests of one person that were asked after `since`."""
    return tuple(
        _request(row) for row in ask(f"{_REQUEST} WHERE employee = ? AND asked > ?", employee, since)
    )


def lift_request(ask: Ask, request_id: str) -> LiftRequest | None:
    """One request, answered or not."""
    rows = ask(f"{_REQUEST} WHERE request_id = ?", request_id)
    return _request(rows[0]) if rows else None


def relation(ask: Ask, relation_id: str) -> CareRelation | None:
    """One care relation, ended or not."""
    rows = ask(f"{_RELATION} WHERE relation_id = ?", relation_id)
    return _relation(rows[0]) if rows else None


def consent(ask: Ask, consent_id: str) -> Consent | None:
    """One registered ground, ended or not."""
    rows = ask(f"{_CONSENT} WHERE consent_id = ?", consent_id)
    return _consent(rows[0]) if rows else None


def block(ask: Ask, block_id: str) -> Block | None:
    """One block, ended or not."""
    rows = ask(f"{_BLOCK} WHERE block_id = ?", block_id)
    return _block(rows[0]) if rows else None


def lift(ask: Ask, lift_id: str) -> Lift | None:
    """One lift, ended or not."""
    rows = ask(f"{_LIFT} WHERE lift_id = ?", lift_id)
    return _lift(rows[0]) if rows else None


def owners_of(ask: Ask, keys: Collection[int]) -> list[Item]:
    """One item of unknown time for each owner of anything of these persons; enough where no block has days."""
    marks = ",".join("?" * len(keys))
    found: dict[Item, None] = {}
    for table in ("study", "referral", "report"):
        select = f"SELECT DISTINCT patient_key, provider, unit FROM {table} WHERE patient_key IN ({marks})"
        for patient_key, provider, unit in ask(select, *sorted(keys)):
            found[Item(patient_key, provider, unit, None, None)] = None
    return list(found)


def persons_with_ground(ask: Ask, provider: str, unit: str, now: str) -> list[int]:
    """Persons for whom the whole unit has a ground that has not ended before `now`."""
    rows = ask(
        "SELECT DISTINCT patient_key FROM consent WHERE unit = ? AND provider = ? AND employee = ''"
        " AND (ends IS NULL OR ends > ?) AND (ended IS NULL OR ended > ?)",
        unit,
        provider,
        now,
        now,
    )
    return [int(row[0]) for row in rows]


def _of(ask: Ask, select: str, keys: Collection[int], condition: str, *values: str) -> list[Any]:
    marks = ",".join("?" * len(keys))
    return ask(f"{select} WHERE patient_key IN ({marks}) AND {condition}", *sorted(keys), *values)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _relation(row: Any) -> CareRelation:
    starts, ends = datetime.fromisoformat(row[5]), datetime.fromisoformat(row[6])
    return CareRelation(row[0], row[1], row[2], row[3], row[4], starts, ends, row[7])


def _consent(row: Any) -> Consent:
    starts, ends, ended = datetime.fromisoformat(row[6]), _time(row[7]), _time(row[9])
    return Consent(row[0], row[1], Ground(row[2]), row[3], row[4], row[5], starts, ends, row[8], ended)


def _block(row: Any) -> Block:
    block_id, patient_key, kind, provider, unit, first, last, ended = row
    return Block(block_id, patient_key, _KINDS[kind], provider, unit, first, last, _time(ended))


def _lift(row: Any) -> Lift:
    starts, ends, ended = (
        datetime.fromisoformat(row[5]),
        datetime.fromisoformat(row[6]),
        _time(row[8]),
    )
    return Lift(row[0], row[1], row[2], row[3], row[4], starts, ends, row[7], ended)


def _request(row: Any) -> LiftRequest:
    (request_id, patient_key, owner, provider, unit, employee, asker, for_unit, phone, need, *rest) = row
    asked, answered, answer, told, until = rest
    return LiftRequest(
        request_id,
        patient_key,
        owner,
        provider,
        unit,
        employee,
        asker,
        bool(for_unit),
        phone,
        need,
        datetime.fromisoformat(asked),
        _time(answered),
        LiftAnswer(answer),
        told,
        _time(until),
    )
