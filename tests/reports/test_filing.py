"""Filing: one durable record for each message, one effect however often it comes, held when in doubt."""

import asyncio
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from samsyn.audit import journal
from samsyn.errors import LimitExceeded, NotSupported
from samsyn.hl7v2.acknowledgement import answers
from samsyn.hl7v2.header import peek
from samsyn.model.predicate import Everything
from samsyn.model.texts import ReportStatus
from samsyn.reports.examination import versions_of
from samsyn.reports.order import by_report
from samsyn.store.index import examination_rows
from tests.hl7v2.messages import message, msh, obr, obx, oru, pid, segment
from tests.indexes import forget_index
from tests.reports.house import EHR, OTHER_RIS, RIS, House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path / "data")
    yield opened
    opened.close()


def order(control: str = "O1", sent: str = "20240314120000", **fields: str) -> bytes:
    orc = {1: "NW", 2: "R100", 9: "20240314120000", 12: "D1^Lindgren^Eva"}
    detail = {4: "CTTHX^DT thorax^L", 13: "Hosta i tre veckor", 31: "^Pneumoni?"}
    for key, value in fields.items():
        (orc if key.startswith("c") else detail)[int(key[1:])] = value
    return message(msh("ORM^O01", control, sent=sent), pid(), segment("ORC", orc), segment("OBR", detail))


async def test_a_report_is_filed_with_its_bytes_and_everything_that_it_tells(house: House) -> None:
    raw = oru()
    filed = await house.send(raw)
    assert filed.receipt.outcome == "stored"
    assert filed.verdict.code == "AA"
    ((text, status, accession, issuer, begins, provider, unit),) = await house.all(
        "SELECT text, status, accession, accession_issuer, begins, provider, unit FROM report"
    )
    assert text == "Inga tecken till pneumoni."
    assert (status, accession, issuer, begins) == ("final", "ACC300", "2.25.2", 20240315)
    assert (provider, unit) == (RIS.provider, RIS.unit)
    ((segment_number, offset, length),) = await house.all("SELECT segment, body_offset, length FROM message")
    assert house.store.body(segment_number, offset, length) == raw


async def test_the_same_message_again_gets_the_same_answer_and_one_effect(house: House) -> None:
    raw = oru()
    first = await house.send(raw)
    again = await house.send(raw)
    assert again.receipt.outcome == "already-stored"
    assert answers(peek(raw), first.verdict, first.when) == answers(peek(raw), again.verdict, again.when)
    assert await house.all("SELECT count(*) FROM report") == [(1,)]
    assert await house.all("SELECT count(*) FROM message") == [(1,)]


async def test_the_same_control_id_with_other_content_is_held_and_the_first_stays(house: House) -> None:
    await house.send(oru())
    filed = await house.send(oru(text="Något annat."))
    assert filed.receipt.outcome == "held"
    assert filed.verdict.code == "AE"
    assert await house.all("SELECT text FROM report") == [("Inga tecken till pneumoni.",)]
    assert await house.all("SELECT reason FROM held") == [("conflict",)]


async def test_two_sources_may_use_the_same_control_id(house: House) -> None:
    assert (await house.send(oru())).receipt.outcome == "stored"
    assert (await house.send(oru(), OTHER_RIS)).receipt.outcome == "stored"


async def test_the_same_version_under_a_new_control_id_is_one_version(house: House) -> None:
    await house.send(oru(control="M1"))
    assert (await house.send(oru(control="M2"))).verdict.code == "AA"
    assert await house.all("SELECT count(*) FROM report") == [(1,)]
    assert await house.all("SELECT count(*) FROM message") == [(2,)]


async def test_every_version_is_kept(house: House) -> None:
    for number, status in enumerate("PFAC"):
        await house.send(oru(status, f"text {status}", f"M{number}", f22=f"2024031510{number}000"))
    assert await house.all("SELECT status, fragment FROM report ORDER BY report_key") == [
        ("preliminary", 0),
        ("final", 0),
        ("addendum", 1),
        ("correction", 0),
    ]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (oru(f22="20250229"), "bad-input"),
        (message(msh("ORU^R01"), pid("12345^^^FOREIGN"), obr(), obx("x")), "unknown-issuer"),
        (message(msh("ORU^R01"), pid("191212121213^^^PNR"), obr(), obx("x")), "unknown-issuer"),
        (
            message(msh("ORU^R01"), pid("191212121212^^^PNR~189001019802^^^PNR"), obr(), obx("x")),
            "identity-conflict",
        ),
        (b"MSH|^~\\&|NORDRIS||||||ORU^R01||P|2.5\r", "bad-input"),
    ],
)
async def test_what_can_not_be_filed_is_held_byte_for_byte_once(
    house: House, raw: bytes, reason: str
) -> None:
    for _ in range(3):
        filed = await house.send(raw)
        assert filed.receipt.outcome == "held"
        assert filed.verdict.code == "AE"
    ((kept, number, offset, length),) = await house.all(
        "SELECT reason, segment, body_offset, length FROM held"
    )
    assert kept == reason
    assert house.store.body(number, offset, length) == raw
    assert await house.all("SELECT count(*) FROM report") == [(0,)]
    assert await house.all("SELECT count(*) FROM patient") == [(0,)]


async def test_a_refused_message_is_judged_anew_when_it_is_sent_again(house: House) -> None:
    raw = oru(f18="ACC300").replace(b"DT thorax", b"DT thorax")
    study_of_other = await house.image("189001019802", "ACC300", "2.25.77")
    assert study_of_other == "stored"
    raw = message(
        msh("ORU^R01"), pid("991981000010^^^SLLRES"), obr(), obx("x"), segment("ZDS", {1: "2.25.77"})
    )
    assert (await house.send(raw)).receipt.outcome == "held"
    merge = message(
        msh("ADT^A40", "A1"), pid("189001019802^^^PNR"), segment("MRG", {1: "991981000010^^^SLLRES"})
    )
    assert (await house.send(merge)).verdict.code == "AA"
    assert (await house.send(raw)).receipt.outcome == "stored"
    ((settled,),) = await house.all("SELECT settled FROM held")
    assert settled


async def test_a_text_that_names_another_patients_study_is_held(house: House) -> None:
    await house.image("189001019802", "ACC300", "2.25.77")
    raw = message(msh("ORU^R01"), pid(), obr(), obx("x"), segment("ZDS", {1: "2.25.77"}))
    filed = await house.send(raw)
    assert (filed.receipt.outcome, filed.receipt.reason) == ("held", "identity-conflict")


@pytest.mark.parametrize("raw", [message(msh("SIU^S17"), pid()), message(msh("ADT^A08", f11="T"), pid())])
async def test_what_is_not_taken_at_all_leaves_nothing(house: House, raw: bytes) -> None:
    with pytest.raises(NotSupported):
        await house.send(raw)
    assert await house.all("SELECT count(*) FROM held") == [(0,)]


async def test_a_message_beyond_the_limits_leaves_nothing(house: House) -> None:
    with pytest.raises(LimitExceeded):
        await house.send(oru() + b"NTE|1\r" * 20_001)
    assert await house.all("SELECT count(*) FROM held") == [(0,)]


async def test_a_message_is_filed_wholly_or_not_at_all(house: House) -> None:
    raw = message(
        msh("ORU^R01"), pid(), obr(), obx("första"),
        obr({1: "2", 18: "ACC301"}), obx("andra"), segment("ZDS", {1: "2.25.77"}),
    )  # fmt: skip
    await house.image("189001019802", "ACC9", "2.25.77")
    assert (await house.send(raw)).receipt.outcome == "held"
    assert await house.all("SELECT count(*) FROM report") == [(0,)]


async def test_a_referral_gets_the_latest_word_on_each_field_whatever_the_order(house: House) -> None:
    news = [
        order("O1"),
        order("O2", "20240315080000", c1="SC", c5="IP", c3="ACC300", f13="", f31="", c12=""),
        order("O3", "20240314150000", c1="XO", c5="SC", f31="^Lungemboli?", c3="ACC300"),
    ]
    for raw in reversed(news):
        assert (await house.send(raw)).verdict.code == "AA"
    rows = await house.all(
        "SELECT placer_id, accession, status, question, history, referrer, begins FROM referral"
    )
    assert rows == [
        ("R100", "ACC300", "started", "Lungemboli?", "Hosta i tre veckor", "Eva Lindgren", 20240314)
    ]


async def test_one_referral_with_two_examinations_is_two_rows_that_share_its_text(house: House) -> None:
    await house.send(order("O1"))
    await house.send(order("O2", "20240314130000", c1="SC", c5="SC", c3="ACC300"))
    await house.send(order("O3", "20240314130100", c1="SC", c5="SC", c3="ACC301"))
    assert await house.all("SELECT accession, question FROM referral ORDER BY accession") == [
        ("ACC300", "Pneumoni?"),
        ("ACC301", "Pneumoni?"),
    ]


async def test_a_report_joins_a_referral_that_only_has_a_placer_number(house: House) -> None:
    await house.send(order("O1"))
    await house.send(oru(control="M1"))
    assert await house.all("SELECT accession, status FROM referral") == [("ACC300", "reported")]


async def test_a_referral_of_another_provider_joins_the_examination_where_it_was_done(house: House) -> None:
    await house.send(order("O1"), EHR)
    await house.send(
        order("O2", "20240314130000", c1="SC", c5="SC", c3="ACC300", c17="SE9990000004-1001"), RIS
    )
    ((provider, unit, accession, issuer, performer),) = await house.all(
        "SELECT provider, unit, accession, accession_issuer, performer_unit FROM referral"
    )
    assert (provider, unit) == (EHR.provider, EHR.unit)
    assert (accession, issuer) == ("ACC300", RIS.accession_issuer)
    assert performer == RIS.unit


async def test_a_system_that_forwards_does_not_become_the_owner_of_a_referral(house: House) -> None:
    await house.send(order("O2", "20240314130000", c1="SC", c5="SC", c3="ACC300"), RIS)
    await house.send(order("O1"), EHR)
    assert await house.all("SELECT unit FROM referral") == [(EHR.unit,)]


async def test_an_open_referral_gives_the_examining_unit_a_care_relation(house: House) -> None:
    await house.send(order("O1", c17="SE9990000004-1001"), RIS)
    ((unit, starts, ends),) = await house.all("SELECT unit, starts, ends FROM care_relation")
    assert unit == RIS.unit
    assert (starts[:10], ends[:10]) == ("2024-03-14", "2025-03-14")
    await house.send(oru(control="M1"))
    assert await house.all("SELECT substr(ends, 1, 10) FROM care_relation") == [("2024-03-29",)]


async def test_the_same_accession_number_of_two_providers_never_joins(house: House) -> None:
    await house.send(oru())
    await house.send(oru(text="Annat svar."), OTHER_RIS)
    assert await house.all("SELECT DISTINCT accession_issuer FROM report ORDER BY 1") == [
        ("2.25.12",),
        ("2.25.2",),
    ]


async def test_a_merge_links_persons_that_nobody_knew_before(house: House) -> None:
    merge = message(msh("ADT^A40"), pid(), segment("MRG", {1: "991981000010^^^SLLRES"}))
    assert (await house.send(merge)).verdict.code == "AA"
    rows = await house.all("SELECT patient_key, merged_into FROM patient ORDER BY patient_key")
    assert rows == [(1, None), (2, 1)]
    assert (await house.send(merge.replace(b"|M1|", b"|M2|"))).verdict.code == "AA"


async def test_a_merge_that_closes_a_cycle_is_refused_and_nothing_changes(house: House) -> None:
    def merge(control: str, survivor: str, subsumed: str) -> bytes:
        return message(
            msh("ADT^A40", control), pid(f"{survivor}^^^PNR"), segment("MRG", {1: f"{subsumed}^^^PNR"})
        )

    one, two, three = "191212121212", "189001019802", "190001019801"
    assert (await house.send(merge("1", two, one))).verdict.code == "AA"
    assert (await house.send(merge("2", three, two))).verdict.code == "AA"
    filed = await house.send(merge("3", one, three))
    assert (filed.verdict.code, filed.receipt.reason) == ("AE", "conflict")
    assert (await house.send(merge("4", three, one))).verdict.code == "AA"
    linked = await house.all("SELECT patient_key, merged_into FROM patient WHERE merged_into IS NOT NULL")
    assert sorted(linked) == [(1, 3), (2, 3)]


async def test_late_news_of_a_register_do_not_overwrite_newer_ones(house: House) -> None:
    def update(control: str, at: str, name: str, birth: str = "") -> bytes:
        return message(msh("ADT^A08", control, sent=at), pid(name=name, birth=birth))

    await house.send(update("1", "20240301120000", "Ny^Tolvan"))
    await house.send(update("2", "20240201120000", "Gammal^Tolvan", "19121212"))
    await house.send(oru(control="3"))
    assert await house.all("SELECT name, birth_date, origin FROM patient") == [
        ("Ny^Tolvan", "19121212", "adt")
    ]


async def test_protection_is_set_by_whoever_marks_it_and_lifted_by_the_register(house: House) -> None:
    def marked(kind: str, control: str, at: str, *more: str) -> bytes:
        return message(msh(kind, control, sent=at), pid(), *more)

    protected = segment("PD1", {12: "Y"})
    await house.send(marked("ADT^A08", "1", "20240101120000"))
    await house.send(marked("ORU^R01", "2", "20240201120000", protected, obr(), obx("x")))
    assert await house.all("SELECT protected FROM patient") == [(1,)]
    await house.send(marked("ORU^R01", "3", "20240301120000", obr({18: "ACC301"}), obx("x")))
    assert await house.all("SELECT protected FROM patient") == [(1,)]
    await house.send(marked("ADT^A08", "4", "20240401120000", segment("PD1", {12: "N"})))
    assert await house.all("SELECT protected FROM patient") == [(0,)]


@pytest.mark.parametrize("event", ["A01", "A08", "A31", "A40"])
@pytest.mark.parametrize("more", [(), ("PD1|1",)])
async def test_a_message_that_does_not_speak_of_protection_does_not_lift_it(
    house: House, event: str, more: tuple[str, ...]
) -> None:
    """Names of people in hiding are on every list from then on; a merge (PID and MRG alone) would be enough."""
    await house.send(message(msh("ADT^A08", "1", sent="20240101120000"), pid(), segment("PD1", {12: "Y"})))
    mrg = (segment("MRG", {1: "RES1^^^&2.25.1&ISO"}),) if event == "A40" else ()
    assert (
        await house.send(message(msh(f"ADT^{event}", "2", sent="20240301120000"), pid(), *more, *mrg))
    ).verdict.code == "AA"
    assert ("Tolvansson^Tolvan", 1) in await house.all("SELECT name, protected FROM patient")
    await house.send(message(msh("ADT^A08", "3", sent="20240401120000"), pid(), segment("PD1", {12: '""'})))
    assert ("Tolvansson^Tolvan", 0) in await house.all("SELECT name, protected FROM patient")


async def test_every_filing_and_holding_stands_in_the_audit_journal_without_patient_data(
    house: House,
) -> None:
    await house.send(oru(text="HEMLIGT"))
    await house.send(order("O1", "20240314120000"))
    await house.send(message(msh("ADT^A08", "A1"), pid(name="HEMLIGT^Namn")))
    await house.send(message(msh("ADT^A08", "A2"), pid("1^^^X")))
    rows = await house.all("SELECT event, patient_key, details FROM audit ORDER BY sequence")
    assert [(event, key) for event, key, _ in rows] == [
        ("FILE_REPORT", 1),
        ("FILE_REFERRAL", 1),
        ("UPDATE_PATIENT", 1),
        ("HOLD_MESSAGE", 0),
    ]
    assert "HEMLIGT" not in str(rows)
    assert "191212121212" not in str(rows)


async def test_what_was_accepted_is_there_after_a_restart(tmp_path: Path) -> None:
    house = House(tmp_path / "data")
    await house.send(order("O1"))
    await house.send(oru(control="M1"))
    before = await house.all("SELECT * FROM referral"), await house.all("SELECT * FROM report")
    house.close()
    forget_index(tmp_path / "data")
    house = House(tmp_path / "data")
    try:
        assert house.store.replayed == 2
        assert (await house.all("SELECT * FROM referral"), await house.all("SELECT * FROM report")) == before
        assert (await house.send(oru(control="M1"))).receipt.outcome == "already-stored"
    finally:
        house.close()


async def test_many_messages_at_once_share_syncs(house: House) -> None:
    before = house.store.syncs
    await asyncio.gather(
        *(house.send(oru(control=f"M{n}", f18=f"ACC{n}", text=f"svar {n}")) for n in range(64))
    )
    assert house.store.syncs - before < 32
    assert await house.all("SELECT count(*) FROM report") == [(64,)]


async def test_a_notes_of_what_was_not_understood_is_told_with_the_acceptance(house: House) -> None:
    raw = message(msh("ADT^A08"), pid(sex="Q"))
    first = await house.send(raw)
    assert "PID-8" in first.verdict.sentence
    assert (await house.send(raw)).verdict == first.verdict


async def test_the_audit_chain_holds(house: House) -> None:
    await house.send(oru())
    assert ("FILE_REPORT",) in await house.all("SELECT event FROM audit")
    assert await journal.verify(house.store) is None


@pytest.mark.parametrize(
    ("examined", "result", "begins", "ends"),
    [
        ("20240315080000", "20240315100000", 20240315, 20240315),
        ("20240315080000", "20240319090000", 20240315, 20240319),
        ("", "20240319090000", None, 20240319),
        ("20240315080000", "", 20240315, 20240315),
        ("20240320080000", "20240319090000", 20240319, 20240320),
    ],
)
async def test_a_report_documents_the_days_from_the_examination_to_the_result(
    house: House, examined: str, result: str, begins: int | None, ends: int
) -> None:
    # So a block of the examination's day hides what was dictated later, and a block of later days does so too.
    await house.send(oru(f7=examined, f22=result))
    assert await house.all("SELECT begins, ends FROM report") == [(begins, ends)]


async def _standing(house: House) -> tuple[ReportStatus | None, list[str]]:
    """Where the one report stands, and what is shown of it."""

    def ask(connection: Any) -> tuple[ReportStatus | None, list[str]]:
        keys = frozenset(row[0] for row in connection.execute("SELECT patient_key FROM patient"))
        (page,) = by_report(versions_of(examination_rows.reports(connection, Everything(), keys)))
        return page.standing, [each.version.text for each in page.shown]

    return await house.store.read(ask)


def _said(control: str, sent: str, status: str = "F", text: str = "Ingen fraktur.") -> bytes:
    """A report whose result time is the same whenever it is sent."""
    return message(msh("ORU^R01", control, sent=sent), pid(), obr({25: status}), obx(text, status))


@pytest.mark.parametrize(
    ("words", "standing", "shown"),
    [
        # Signed at one moment, sent again with another text: the later word, also where it was said before.
        ([("10", "F", "Ingen fraktur."), ("11", "F", "Fraktur.")], "final", ["Fraktur."]),
        ([("10", "F", "Ja."), ("11", "F", "Nej."), ("12", "F", "Ja.")], "final", ["Ja."]),
        # Annulled by mistake and sent again as it was.
        ([("11", "F", "Ja."), ("12", "X", "Ja."), ("13", "F", "Ja.")], "final", ["Ja."]),
        ([("11", "F", "Ja."), ("11", "F", "Ja."), ("12", "X", "Ja.")], "annulled", [""]),
    ],
)
async def test_what_a_source_said_last_holds_in_whatever_order_it_comes(
    tmp_path: Path, words: list[tuple[str, str, str]], standing: str, shown: list[str]
) -> None:
    raw = [_said(f"M{n}", f"20240315{hour}3000", *rest) for n, (hour, *rest) in enumerate(words)]
    for number, order in enumerate(permutations(raw)):
        house = House(tmp_path / str(number))
        for each in order:
            assert (await house.send(each)).verdict.code == "AA"
        assert await _standing(house) == (standing, shown)
        house.close()


async def test_what_is_mended_beside_an_unchanged_text_reaches_its_version_in_whatever_order_it_comes(
    tmp_path: Path,
) -> None:
    """A department finds that the wrong procedure, day or study stands at a signed text and sends it again."""
    wrong = {4: "X^Fel undersökning^L", 7: "20240315093000"}
    right = {4: "CTTHX^DT thorax^L", 7: "20240314093000"}
    study = segment("ZDS", {1: "2.25.10^S^Application^DICOM"})
    words = [
        message(msh("ORU^R01", "W1"), pid(), obr(wrong), obx("Fraktur.")),
        message(msh("ORU^R01", "W2", sent="20240316080000"), pid(), obr(right), obx("Fraktur."), study),
    ]
    silent = message(msh("ORU^R01", "W3", sent="20240317080000"), pid(), obr({4: "", 7: ""}), obx("Fraktur."))
    for number, order_of_words in enumerate(permutations(words)):
        house = House(tmp_path / str(number))
        for raw in (*order_of_words, silent):
            assert (await house.send(raw)).verdict.code == "AA"
        rows = await house.all("SELECT procedure_text, begins, ends, study_uid FROM report")
        assert rows == [("DT thorax", 20240314, 20240315, "2.25.10")]
        house.close()


async def test_a_question_that_was_taken_away_is_gone_whichever_word_came_first(tmp_path: Path) -> None:
    """Written about the wrong person, it is deleted with HL7's null."""
    words = [order(), order("O2", "20240314130000", c1="XO", f31='""')]
    for number, order_of_words in enumerate(permutations(words)):
        house = House(tmp_path / str(number))
        for raw in order_of_words:
            assert (await house.send(raw)).verdict.code == "AA"
        rows = await house.all("SELECT question, history FROM referral")
        assert rows == [("", "Hosta i tre veckor")]
        await house.send(order("O3", "20240314140000", c1="XO", f31="^Emboli?"))
        assert await house.all("SELECT question FROM referral") == [("Emboli?",)]
        house.close()
