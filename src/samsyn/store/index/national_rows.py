"""Reads of the local copy of the national blocks. They are kept by the patient's number, so that a person who becomes
known later, or under another number too, is blocked from the first moment."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from samsyn.model.national import NationalBlock, NationalLift
from samsyn.model.registers import Block, BlockKind, Lift

Ask: TypeAlias = Callable[..., list[Any]]

_LIFT_DAYS = 7
_PERSON_NUMBERS = "1.2.752.%"
"""The issuers of Swedish person numbers. Which of them a number is of is often told wrong (a samordningsnummer as
personnummer), and a block that is not understood hides more, never less."""
_OF = (
    "FROM patient_identifier AS known JOIN national_block AS copy ON copy.number = known.value"
    f" AND (copy.issuer IN (known.issuer, '')"
    f" OR (copy.issuer LIKE '{_PERSON_NUMBERS}' AND known.issuer LIKE '{_PERSON_NUMBERS}'))"
)


@dataclass(frozen=True, slots=True)
class State:
    """How far the copy has come; `read_at` is ISO 8601 in UTC."""

    created_next: str
    cancelled: str
    read_at: str


def state(ask: Ask) -> State | None:
    """None before the first whole reading."""
    rows = ask("SELECT created_next, cancelled, read_at FROM national_state")
    return State(*rows[0]) if rows else None


def blocks(ask: Ask, block_ids: Collection[str] | None) -> dict[str, NationalBlock]:
    """The copied blocks by id: these, or every one."""
    columns = "block_id, issuer, number, kind, provider, unit, first_day, last_day"
    wanted: list[Any] = []
    if block_ids is None:
        wanted = ask(f"SELECT {columns} FROM national_block")
    else:
        for block_id in block_ids:
            wanted += ask(f"SELECT {columns} FROM national_block WHERE block_id = ?", block_id)
    lifts: dict[str, list[NationalLift]] = {}
    select = "SELECT block_id, lift_id, unit, employee, ends FROM national_lift ORDER BY lift_id"
    for block_id, lift_id, unit, employee, ends in ask(select):
        lifts.setdefault(block_id, []).append(
            NationalLift(lift_id, unit, employee, datetime.fromisoformat(ends))
        )
    return {
        block_id: NationalBlock(
            block_id,
            issuer,
            number,
            BlockKind(kind),
            provider,
            unit,
            first,
            last,
            tuple(lifts.get(block_id, ())),
        )
        for block_id, issuer, number, kind, provider, unit, first, last in wanted
    }


def blocks_of(ask: Ask, keys: Collection[int]) -> tuple[Block, ...]:
    """National blocks of these persons, under any of their numbers."""
    marks = ",".join("?" * len(keys))
    rows = ask(
        "SELECT copy.block_id, known.patient_key, copy.kind, copy.provider, copy.unit, copy.first_day,"
        f" copy.last_day {_OF} WHERE known.patient_key IN ({marks})",
        *sorted(keys),
    )
    return tuple(Block(row[0], row[1], BlockKind(row[2]), *row[3:7]) for row in rows)


def lifts_of(ask: Ask, keys: Collection[int], now: str) -> tuple[Lift, ...]:
    """National lifts of these persons that have not ended; one is never longer than seven days before its end."""
    marks = ",".join("?" * len(keys))
    rows = ask(
        "SELECT lift.lift_id, lift.block_id, known.patient_key, lift.unit, lift.employee, lift.ends"
        f" {_OF} JOIN national_lift AS lift ON lift.block_id = copy.block_id"
        f" WHERE known.patient_key IN ({marks}) AND lift.ends > ?",
        *sorted(keys),
        now,
    )
    found = []
    for lift_id, block_id, patient_key, unit, employee, text in rows:
        ends = datetime.fromisoformat(text)
        starts = ends - timedelta(days=_LIFT_DAYS)
        found.append(Lift(lift_id, block_id, patient_key, unit, employee, starts, ends, "consent"))
    return tuple(found)
