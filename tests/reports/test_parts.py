"""Two examinations answered under one accession number are two reports; the same report in several words is one."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.model.predicate import Everything
from samsyn.model.texts import ReportStatus, ReportVersion
from samsyn.reports.examination import _joined, versions_of
from samsyn.reports.order import by_report
from samsyn.reports.parts import with_parts
from samsyn.store.index import examination_rows
from tests.hl7v2.messages import message, msh, obr, obx, pid, segment
from tests.reports.house import House

NOW = datetime(2024, 3, 15, tzinfo=UTC)
CHEST, BELLY = ("RIS1", "CTT^DT thorax^L", "Inget nytillkommet i lungorna."), (
    "RIS2", "CTB^DT buk^L", "Aortaaneurysm 6 cm.",
)  # fmt: skip


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    opened = House(tmp_path / "data")
    yield opened
    opened.close()


def answer(
    control: str, *parts: tuple[str, str, str], status: str = "F", at: str = "20240315101500"
) -> bytes:
    lines = []
    for filler, procedure, text in parts:
        lines += [obr({3: filler, 4: procedure, 22: at, 25: status}), obx(text, status)]
    return message(msh("ORU^R01", control, sent=at), pid(), *lines)


async def shown(house: House) -> set[tuple[str, ...]]:
    """The texts that stand on the page, one tuple for each report."""

    def ask(connection: Any) -> set[tuple[str, ...]]:
        keys = frozenset(row[0] for row in connection.execute("SELECT patient_key FROM patient"))
        versions = versions_of(examination_rows.reports(connection, Everything(), keys))
        return {tuple(each.version.text for each in page.shown) for page in by_report(versions)}

    return await house.store.read(ask)


async def test_two_orders_of_one_message_are_two_reports_and_neither_hides_the_other(house: House) -> None:
    knee = "RKN^Röntgen knä^L"
    await house.send(answer("M1", ("RIS1", knee, "Höger: fraktur."), ("RIS2", knee, "Vänster: inget.")))
    assert await shown(house) == {("Höger: fraktur.",), ("Vänster: inget.",)}


async def test_orders_with_different_procedures_are_two_reports_in_whatever_order_their_words_come(
    tmp_path: Path,
) -> None:
    corrected = ("RIS2", BELLY[1], "Aortaaneurysm 4 cm.")
    words = [
        answer("M1", CHEST),
        answer("M2", BELLY, at="20240315101600"),
        answer("M3", corrected, status="C", at="20240315120000"),
    ]
    for number, order in enumerate(permutations(words)):
        house = House(tmp_path / str(number))
        for raw in order:
            assert (await house.send(raw)).verdict.code == "AA"
        assert await shown(house) == {(CHEST[2],), (corrected[2],)}
        house.close()


async def test_a_new_order_number_alone_makes_no_other_report(house: House) -> None:
    await house.send(answer("M1", CHEST))
    await house.send(answer("M2", ("RIS9", CHEST[1], "Pneumoni."), status="C", at="20240315120000"))
    assert await shown(house) == {("Pneumoni.",)}


async def test_a_document_that_replaces_one_of_two_reports_leaves_the_other(house: House) -> None:
    await house.send(answer("M1", CHEST, BELLY))
    txa = segment(
        "TXA", {1: "1", 2: "RAD^DT buk", 8: "20240315130000", 12: "D2", 13: "D1", 15: "ACC300", 17: "AU"}
    )
    replacing = message(msh("MDM^T10", "M2"), pid(), txa, obx("Aortaaneurysm 4 cm."))
    assert (await house.send(replacing)).verdict.code == "AA"
    assert await shown(house) == {(CHEST[2],), ("Aortaaneurysm 4 cm.",)}


async def test_what_was_answered_together_and_is_corrected_apart_is_two_reports(house: House) -> None:
    joint = "Lungor och buk utan anmärkning."
    await house.send(answer("M1", (*CHEST[:2], joint), (*BELLY[:2], joint)))
    assert await shown(house) == {(joint,)}
    await house.send(answer("M2", CHEST, BELLY, status="C", at="20240315120000"))
    assert await shown(house) == {(CHEST[2],), (BELLY[2],)}


async def test_a_document_is_annulled_where_it_was_filed_whichever_word_comes_first(tmp_path: Path) -> None:
    def mdm(event: str, control: str, at: str, *lines: str) -> bytes:
        txa = segment("TXA", {1: "1", 2: "RAD", 8: at, 12: "D1", 15: "ACC300", 17: "AU"})
        return message(msh(f"MDM^{event}", control, sent=at), pid(), txa, *lines)

    document = mdm("T02", "M2", "20240315130000", obx(BELLY[2]))
    annulment = mdm("T11", "M3", "20240315140000")
    for number, order in enumerate(permutations([answer("M1", CHEST, BELLY), document, annulment])):
        house = House(tmp_path / str(number))
        for raw in order:
            assert (await house.send(raw)).verdict.code == "AA"
        assert await shown(house) == {(CHEST[2],), ("",)}
        house.close()


async def test_a_report_keeps_its_name_when_another_comes_beside_it(house: House) -> None:
    def names(connection: Any) -> dict[str, tuple[str, str, str]]:
        keys = frozenset(row[0] for row in connection.execute("SELECT patient_key FROM patient"))
        rows = examination_rows.reports(connection, Everything(), keys)
        return {each.text: each.report_name for each in versions_of(rows)}

    await house.send(answer("M2", BELLY))
    before = await house.store.read(names)
    await house.send(answer("M1", CHEST))
    after = await house.store.read(names)
    assert before.items() <= after.items()
    assert len(set(after.values())) == 2


sent = st.lists(
    st.tuples(
        st.integers(1, 3),  # the message
        st.sampled_from(["", "RIS1", "RIS2", "RIS3"]),
        st.sampled_from(["", "DT thorax", "DT buk"]),
        st.sampled_from(["", "Lungorna utan anmärkning i dag.", "Aortaaneurysm på sex centimeter."]),
        st.sampled_from(["D1", "D2"]),
    ),
    max_size=7,
    unique=True,
)


@given(sent, st.randoms())
def test_what_is_one_report_does_not_depend_on_the_order_of_arrival(
    drawn: list[tuple[int, str, str, str, str]], chance: Random
) -> None:
    def partition(came: list[tuple[int, str, str, str, str]]) -> set[frozenset[object]]:
        made = [
            ReportVersion(
                key, "P", "U", "ACC300", order or document, ReportStatus.FINAL, None, "", "", text, NOW,
                order_number=order, procedure=procedure, message_key=told,
            )
            for key, (told, order, procedure, text, document) in enumerate(came, start=1)
        ]  # fmt: skip
        found: dict[str, list[object]] = {}
        for version, each in zip(with_parts(made), came, strict=True):
            found.setdefault(version.part, []).append(each)
        return set(map(frozenset, found.values()))

    mixed = list(drawn)
    chance.shuffle(mixed)
    assert partition(mixed) == partition(drawn)


async def test_a_tombstone_is_titled_by_the_report_that_it_stands_for(house: House) -> None:
    """An annulment seldom repeats what was examined; with another report's title it would be taken for that one."""
    await house.send(answer("M1", BELLY, CHEST))
    gone = obr({3: CHEST[0], 4: "", 22: "20240315120000", 25: "X"})
    await house.send(message(msh("ORU^R01", "M2", sent="20240315120000"), pid(), gone))

    def ask(connection: Any) -> list[tuple[str, str]]:
        keys = frozenset(row[0] for row in connection.execute("SELECT patient_key FROM patient"))
        reports = examination_rows.reports(connection, Everything(), keys)
        (found,) = _joined(
            [], [], reports, parts={each.version_key: each.part for each in versions_of(reports)}
        )
        pages = by_report(found.reports)
        return sorted((str(page.standing), found.title_of(page.shown[0].version)) for page in pages)

    assert await house.store.read(ask) == [("annulled", "DT thorax"), ("final", "DT buk")]


async def test_two_texts_under_one_order_number_are_told_apart_by_their_procedures(tmp_path: Path) -> None:
    """A RIS that gives all orders of a message one number (OBR-3) would else lose the text before the last."""
    chest, belly = ("RIS1", CHEST[1], CHEST[2]), ("RIS1", BELLY[1], BELLY[2])
    corrected = ("RIS1", BELLY[1], "Aortaaneurysm 4 cm.")
    words = [
        answer("M1", chest, belly, status="P"),
        answer("M2", chest, belly, at="20240315102000"),
        answer("M3", corrected, status="C", at="20240315120000"),
    ]
    for number, order in enumerate(permutations(words)):
        house = House(tmp_path / str(number))
        for raw in order:
            assert (await house.send(raw)).verdict.code == "AA"
        assert await shown(house) == {(chest[2],), (corrected[2],)}
        gone = obr({3: "RIS1", 4: "", 22: "20240315130000", 25: "X"})
        await house.send(message(msh("ORU^R01", "M4", sent="20240315130000"), pid(), gone))
        assert await shown(house) == {("",)}
        house.close()


async def test_two_texts_that_nothing_tells_apart_are_held_together(house: House) -> None:
    one, other = ("RIS1", CHEST[1], "Fraktur."), ("RIS1", CHEST[1], "Ingen fraktur.")
    held = await house.send(answer("M1", one, other))
    assert (held.receipt.outcome, held.verdict.code, held.verdict.segment) == ("held", "AE", "OBR")
    assert (await house.send(answer("M2", one, one))).verdict.code == "AA"
    assert await shown(house) == {("Fraktur.",)}
