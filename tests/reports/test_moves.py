"""Links, moved identifiers and moved visits end alike in every order, and everything that was sent follows."""

from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from samsyn.store.index import patient_rows
from tests.hl7v2.messages import message, msh, obr, obx, pid, segment
from tests.reports.house import OTHER_RIS, House

ISSUER = "2.25.1"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path / "data")
    yield opened
    opened.close()


class Story:
    """Persons P<n>, Q<n> and R<n> with a visit V<n>."""

    def __init__(self, house: House, number: int) -> None:
        self.house, self.number = house, number

    def cx(self, letter: str) -> str:
        return f"{letter}{self.number}^^^&{ISSUER}&ISO"

    def report(
        self, letter: str, hour: int = 8, text: str = "text", visit: str = "V", account: str = ""
    ) -> bytes:
        return message(
            msh("ORU^R01", f"r-{text}-{self.number}", sent=f"20240316{hour:02d}0000"),
            pid(self.cx(letter)) + (f"||||||||||{account}{self.number}" if account else ""),
            segment("PV1", {19: f"{visit}{self.number}"}),
            obr(
                {
                    2: f"O{self.number}",
                    3: f"F{self.number}",
                    18: f"A{self.number}",
                    22: f"20240316{hour:02d}0000",
                }
            ),
            obx(text),
        )

    def order(self, letter: str) -> bytes:
        return message(
            msh("ORM^O01", f"o-{self.number}", sent="20240316070000"),
            pid(self.cx(letter)),
            segment("PV1", {19: f"V{self.number}"}),
            segment("ORC", {1: "NW", 2: f"O{self.number}", 9: "20240316070000"}),
            segment("OBR", {4: "C^DT"}),
        )

    def adt(self, event: str, hour: int, *more: str) -> bytes:
        return message(
            msh(f"ADT^{event}", f"{event}-{hour}-{self.number}", sent=f"20240317{hour:02d}0000"), *more
        )

    def visit_to(self, former: str, owner: str, hour: int) -> bytes:
        mrg = segment("MRG", {1: self.cx(former), 5: f"V{self.number}"})
        return self.adt("A45", hour, pid(self.cx(owner)), mrg)

    def link(self, event: str, hour: int, one: str = "P", other: str = "Q") -> bytes:
        return self.adt(event, hour, pid(self.cx(one)), pid(self.cx(other)))

    async def send(self, *messages: bytes) -> None:
        for raw in messages:
            filed = await self.house.send(raw)
            assert filed.verdict.code == "AA", filed

    async def of(self, letter: str) -> tuple[list[str], list[str]]:
        """(texts, states of referrals) that are shown of the person, linked ones included."""

        def look(connection: Any) -> tuple[list[str], list[str]]:
            found = patient_rows.keys_of(connection, ISSUER, f"{letter}{self.number}")
            keys = sorted({key for each in found for key in patient_rows.closure_of(connection, each)})
            marks = ",".join(map(str, keys)) or "0"
            texts = connection.execute(f"SELECT text FROM report WHERE patient_key IN ({marks})").fetchall()
            states = connection.execute(
                f"SELECT status FROM referral WHERE patient_key IN ({marks})"
            ).fetchall()
            return sorted(row[0] for row in texts), sorted(row[0] for row in states)

        return await self.house.store.read(look)

    async def seen(self) -> list[tuple[list[str], list[str]]]:
        return [await self.of(letter) for letter in "PQR"]


async def every_order(house: House, told: Callable[[Story], list[bytes]]) -> list[Any]:
    seen = []
    for number, order in enumerate(permutations(range(len(told(Story(house, 0)))))):
        story = Story(house, number)
        messages = told(story)
        await story.send(*(messages[place] for place in order))
        seen.append(await story.seen())
    return seen


async def test_linked_records_are_one_person_until_they_are_unlinked(house: House) -> None:
    story = Story(house, 1)
    await story.send(story.report("P"), story.report("Q", text="other", visit="W"), story.link("A24", 8))
    assert await story.of("P") == await story.of("Q") == (["other", "text"], [])
    await story.send(story.link("A37", 9))
    assert (await story.of("P"))[0] == ["text"]
    assert (await story.of("Q"))[0] == ["other"]


async def test_link_and_unlink_end_alike_in_every_order(house: House) -> None:
    seen = await every_order(
        house, lambda story: [story.report("P"), story.link("A24", 8), story.link("A37", 9), story.order("Q")]
    )
    assert len(seen) == 24
    assert all(each == seen[0] for each in seen)
    assert seen[0][0] == (["text"], [])


async def test_a_moved_identifier_takes_everything_with_it(house: House) -> None:
    story = Story(house, 1)
    head = segment("PID", {1: "1", 2: story.cx("R"), 3: story.cx("Q")})
    await story.send(
        story.report("Q"), story.link("A24", 8), story.adt("A43", 9, head, segment("MRG", {1: story.cx("Q")}))
    )
    assert (await story.of("P"))[0] == []
    assert (await story.of("R"))[0] == ["text"]


async def test_a_moved_visit_takes_its_texts_whichever_comes_first(house: House) -> None:
    seen = await every_order(
        house,
        lambda story: [
            story.order("P"),
            story.report("P"),
            story.visit_to("P", "Q", 9),
            story.report("Q", 10, "later"),
        ],
    )
    assert len(seen) == 24
    assert all(each == seen[0] for each in seen)
    assert seen[0][:2] == [([], []), (["later", "text"], ["reported"])]


async def test_a_visit_that_is_moved_on_or_back_ends_with_the_last_owner(house: House) -> None:
    on = await every_order(
        house, lambda story: [story.report("P"), story.visit_to("P", "Q", 8), story.visit_to("Q", "R", 9)]
    )
    assert all(each == [([], []), ([], []), (["text"], [])] for each in on)
    back = []
    for number, order in enumerate(permutations(range(3)), start=100):
        story = Story(house, number)
        messages = [story.report("P"), story.visit_to("P", "Q", 8), story.visit_to("Q", "P", 9)]
        await story.send(*(messages[place] for place in order))
        back.append(await story.seen())
    assert all(each == [(["text"], []), ([], []), ([], [])] for each in back)


async def test_other_visits_and_other_sources_stay_where_they_are(house: House) -> None:
    story = Story(house, 1)
    await story.send(story.report("P"), story.report("P", text="other visit", visit="W"))
    foreign = message(msh("ADT^A45", "x"), pid(story.cx("Q")), segment("MRG", {1: story.cx("P"), 5: "V1"}))
    assert (await house.send(foreign, OTHER_RIS)).verdict.code == "AA"
    assert (await story.of("P"))[0] == ["other visit", "text"]
    await story.send(story.visit_to("P", "Q", 9))
    assert (await story.of("P"))[0] == ["other visit"]


async def test_a_moved_booking_takes_its_care_relation_along(house: House) -> None:
    story = Story(house, 1)
    siu = message(
        msh("SIU^S12", "s", sent="20240316080000"), segment("SCH", {2: "BOK", 11: "^^^20240320080000"}),
        pid(story.cx("P")), segment("PV1", {19: "V1"}),
    )  # fmt: skip
    await story.send(siu, story.visit_to("P", "Q", 9))
    rows = await house.all(
        "SELECT value FROM booking JOIN care_relation ON relation_id = 'booking-' || booking_key"
        " JOIN patient_identifier ON patient_identifier.patient_key = care_relation.patient_key"
    )
    assert rows == [("Q1",)]


async def test_every_move_stands_in_the_audit_journal_of_both_persons(house: House) -> None:
    story = Story(house, 1)
    await story.send(story.report("P"), story.visit_to("P", "Q", 9), story.link("A24", 10))
    rows = await house.all(
        "SELECT event, COUNT(*) FROM audit WHERE event LIKE 'MOVE%' OR event LIKE 'LINK%' GROUP BY 1"
    )
    assert sorted(rows) == [("LINK_PATIENT", 2), ("MOVE_TEXTS", 2)]


def asked(story: Story, letter: str, control: str, history: str) -> bytes:
    """News about the story's one referral, with the history that this word tells."""
    return message(
        msh("ORM^O01", f"{control}-{story.number}", sent=f"2024031607{control[-1]}000"),
        pid(story.cx(letter)),
        segment("ORC", {1: "XO", 2: f"O{story.number}", 9: "20240316070000"}),
        segment("OBR", {4: "C^DT", 13: history}),
    )


@pytest.mark.parametrize("first", ["P", "Q"])
async def test_a_moved_identifier_leaves_none_of_its_words_in_the_former_owner_s_referral(
    house: House, first: str
) -> None:
    story = Story(house, 1)
    mrg = segment("MRG", {1: story.cx("Q")})
    words = [
        asked(story, letter, f"o{n}", f"om {letter}") for n, letter in enumerate((first, "PQ".strip(first)))
    ]
    await story.send(story.adt("A40", 6, pid(story.cx("P")), mrg), *words)
    await story.send(story.adt("A43", 20, segment("PID", {1: "1", 2: story.cx("R"), 3: story.cx("Q")}), mrg))
    told = await house.all(
        "SELECT value, history FROM referral JOIN patient_identifier USING(patient_key) ORDER BY value"
    )
    assert told == [("P1", "om P"), ("Q1", "om Q")]


async def test_a_visit_that_is_moved_back_is_not_moved_by_an_older_word_about_its_account(
    house: House,
) -> None:
    def told(story: Story) -> list[bytes]:
        account = segment("MRG", {1: story.cx("P"), 3: f"K{story.number}"})
        return [
            story.report("P", account="K"),
            story.adt("A44", 8, pid(story.cx("Q")), account),
            story.visit_to("Q", "P", 9),
        ]

    seen = await every_order(house, told)
    assert len(seen) == 6
    assert all(each == [(["text"], []), ([], []), ([], [])] for each in seen)
