"""Who is turned away is written down once, and nobody fills the journal by knocking."""

import json
from pathlib import Path

from samsyn import limits
from samsyn.access.refusals import Refusals
from samsyn.errors import NotAllowed, NotAuthenticated, NotFound, StoreFailed
from samsyn.model.audit import AuditEntry
from tests.access.house import HeldClock, House, a_house
from tests.access.people import ME, staff


async def details(house: House) -> list[dict[str, str]]:
    rows = await house.store.read(
        lambda c: c.execute("SELECT details FROM audit ORDER BY sequence").fetchall()
    )
    return [json.loads(row[0]) for row in rows]


async def test_a_caller_at_a_door_is_written_once_in_a_quarter_of_an_hour(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        refused = NotAuthenticated("unknown AE title or address")
        for _ in range(5):
            await house.gatekeeper.refusals.record(
                "dicom", refused, claimed="X\x1b[31m\n", address="127.0.0.1"
            )
        assert await house.events() == ["LOGIN_REFUSED"]
        assert (await details(house))[0] == {
            "address": "127.0.0.1", "claimed": "X[31m", "door": "dicom", "rule": "unknown AE title or address",
        }  # fmt: skip
        house.clock.move(limits.AUDIT_REPEAT_S + 1)
        await house.gatekeeper.refusals.record("dicom", refused, claimed="X", address="127.0.0.1")
        assert await house.events() == ["LOGIN_REFUSED"] * 2


async def test_an_act_without_the_right_names_who_tried_it_and_the_rule(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        await house.gatekeeper.refusals.record("viewer", NotAllowed("no-relation"), subject=staff())
        await house.gatekeeper.refusals.record("viewer", NotFound("hidden or absent"), subject=staff())
        rows = await house.store.read(
            lambda c: c.execute("SELECT actor, event, allowed FROM audit").fetchall()
        )
        assert [tuple(row) for row in rows] == [(ME, "REFUSED", 0)]
        assert (await details(house))[0]["rule"] == "no-relation"


async def test_a_flood_is_counted_and_not_written(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        refusals = house.gatekeeper.refusals
        for number in range(limits.REFUSALS_PER_MINUTE + 7):
            await refusals.record("dicom", NotAuthenticated("unknown"), claimed=f"AE{number}")
        assert len(await house.events()) == limits.REFUSALS_PER_MINUTE
        house.clock.move(60)
        await refusals.record("dicom", NotAuthenticated("unknown"), claimed="LATER")
        assert (await details(house))[-1]["left_out"] == "7"


async def test_a_refusal_stays_one_when_it_can_not_be_written() -> None:
    async def write(entry: AuditEntry) -> None:
        raise StoreFailed("no disk")

    await Refusals(HeldClock(), write).record("dicom", NotAuthenticated("unknown"))
