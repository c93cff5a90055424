"""Whatever the order in which a patient's messages and images arrive, everybody ends up seeing the same.

`SAMSYN_FUZZ_ORDERS` sets how many of the 40,320 orders of the eight events are tried (default 150).
"""

import asyncio
import os
import random
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from samsyn.model.predicate import Everything
from samsyn.reports.examination import _joined
from samsyn.reports.order import by_report
from samsyn.store.index import examination_rows, patient_rows
from tests.hl7v2.messages import message, msh, obr, obx, pid, segment
from tests.reports.house import EHR, RIS, House

ISSUER = RIS.default_issuer
FIVE = ("referral", "study", "final", "update", "merge")
EIGHT = ("referral", "study", "preliminary", "final", "addendum", "correction", "update", "merge")
COUNT = int(os.environ.get("SAMSYN_FUZZ_ORDERS", "150"))


class Story:
    """One patient's events with numbers of its own: sent under a reserve number until the merge told better."""

    def __init__(self, house: House, number: int) -> None:
        self.house = house
        self.number = number
        self.new, self.old = f"P{number}", f"Q{number}"
        self.accession = f"A{number}"

    async def tell(self, event: str, again: str = "") -> None:
        """Sends the event; `again` makes it a repetition under another control id."""
        if event == "study":
            outcome = await self.house.image(self.old, self.accession, f"2.25.9{self.number}")
            assert outcome in ("stored", "already-stored")
            return
        sender = EHR if event == "referral" else RIS
        filed = await self.house.send(self.text(event, again), sender)
        assert filed.verdict.code == "AA", filed

    def text(self, event: str, again: str = "") -> bytes:
        control = f"{event}-{self.number}{again}"
        if event == "referral":
            orc = segment("ORC", {1: "NW", 2: f"R{self.number}", 9: "20240314120000", 12: "D^Lindgren^Eva"})
            detail = segment("OBR", {4: "C^DT thorax^L", 13: "Hosta", 31: "^Pneumoni?"})
            return message(msh("ORM^O01", control, sent="20240314120000"), self.pid(self.old), orc, detail)
        if event == "update":
            return message(
                msh("ADT^A08", control, sent="20240320120000"), self.pid(self.new, "Nyasson^Tolvan")
            )
        if event == "merge":
            mrg = segment("MRG", {1: f"{self.old}^^^&{ISSUER}&ISO"})
            return message(msh("ADT^A40", control, sent="20240316120000"), self.pid(self.new), mrg)
        status, hour, patient = {
            "preliminary": ("P", "08", self.old),
            "final": ("F", "10", self.new),
            "addendum": ("A", "12", self.new),
            "correction": ("C", "14", self.new),
        }[event]
        numbers = {2: f"R{self.number}", 3: f"F{self.number}", 18: self.accession}
        return message(
            msh("ORU^R01", control, sent=f"20240316{hour}0000"),
            self.pid(patient),
            obr(numbers | {22: f"20240316{hour}0000", 25: status}),
            obx(f"{event} text", status),
        )

    def pid(self, value: str, name: str = "Tolvansson^Tolvan") -> str:
        return pid(f"{value}^^^&{ISSUER}&ISO", name)

    async def seen(self) -> Any:
        """All that readers can see, without keys and times of arrival and without this story's own numbers."""

        def look(connection: Any) -> Any:
            (key,) = patient_rows.keys_of(connection, ISSUER, self.new)
            root = patient_rows.root(connection, key)
            keys = patient_rows.closure(lambda sql, *values: connection.execute(sql, values).fetchall(), key)
            person = patient_rows.patient(connection, root)
            rows = [
                read(connection, Everything(), keys)
                for read in (examination_rows.studies, examination_rows.referrals, examination_rows.reports)
            ]
            relations = connection.execute(
                "SELECT provider, unit, starts, ends FROM care_relation WHERE patient_key IN"
                f" ({','.join(map(str, keys))})"
            ).fetchall()
            return person, len(keys), _joined(*rows), [tuple(row) for row in relations]

        person, linked, examinations, relations = await self.house.store.read(look)
        pages = [
            (
                each.date,
                each.title,
                each.provider,
                each.referrals,
                [
                    ([(shown.role, shown.version.text) for shown in page.shown],
                     [version.text for version in page.earlier], page.standing, page.base_missing)
                    for page in by_report(each.reports)
                ],
                [study.study_uid for study in each.studies],
            )
            for each in examinations
        ]  # fmt: skip
        text = repr((person.demographics, linked, pages, relations))
        for own in (f"2.25.9{self.number}", self.accession, f"R{self.number}", f"F{self.number}"):
            text = text.replace(f"'{own}'", "'#'")
        return text


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path / "data")
    yield opened
    opened.close()


async def play(house: House, number: int, order: tuple[str, ...]) -> Any:
    story = Story(house, number)
    for event in order:
        await story.tell(event)
    return await story.seen()


async def all_seen(house: House, orders: list[tuple[str, ...]]) -> list[Any]:
    """Every order is told to the end, many at once, as many sources do."""
    seen: list[Any] = []
    for start in range(0, len(orders), 60):
        part = orders[start : start + 60]
        seen += await asyncio.gather(*(play(house, start + n, order) for n, order in enumerate(part)))
    return seen


async def test_all_120_orders_of_referral_study_report_update_and_merge_converge(house: House) -> None:
    seen = await all_seen(house, list(permutations(FIVE)))
    print(f"{seen.count(seen[0])} of {len(seen)} converge")
    assert len(seen) == 120
    assert set(seen) == {seen[0]}
    assert "final text" in seen[0]
    assert "Pneumoni?" in seen[0]
    assert "Nyasson^Tolvan" in seen[0]


async def test_120_orders_of_all_eight_events_with_repeats_and_latecomers_converge(house: House) -> None:
    rng = random.Random(120)
    plain = await play(house, 0, EIGHT)

    async def one(number: int) -> Any:
        story = Story(house, number)
        order = [(event, "") for event in rng.sample(EIGHT, len(EIGHT))]
        for _ in range(rng.randrange(1, 6)):
            # A repetition anywhere: by the same control id, or sent anew as another receiver's copy.
            order.insert(rng.randrange(len(order) + 1), (rng.choice(EIGHT), rng.choice(("", "-anew"))))
        late = order.pop(rng.randrange(len(order)))
        for event, again in [*order, late]:
            await story.tell(event, again)
        return await story.seen()

    seen: list[Any] = await asyncio.gather(*(one(number) for number in range(1, 121)))
    print(f"{seen.count(plain)} of {len(seen)} converge, with repeats and latecomers")
    assert set(seen) == {plain}


@pytest.mark.slow
async def test_random_orders_of_all_eight_events_converge(house: House) -> None:
    rng = random.Random(20240316)
    orders = [EIGHT, tuple(reversed(EIGHT))]
    orders += [tuple(rng.sample(EIGHT, len(EIGHT))) for _ in range(COUNT - 2)]
    seen = await all_seen(house, orders)
    assert set(seen) == {seen[0]}
    assert "correction text" in seen[0]


async def test_a_text_sent_twice_at_any_place_changes_nothing(house: House) -> None:
    plain = await play(house, 0, EIGHT)
    for number, repeated in enumerate(EIGHT, start=1):
        if repeated != "study":
            assert await play(house, number, (repeated, *EIGHT)) == plain
            await Story(house, number).tell(repeated)
            assert await Story(house, number).seen() == plain
