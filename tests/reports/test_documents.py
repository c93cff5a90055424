"""Reports as DICOM SR, CDA and PDF: readable text, one report however many forms, whichever comes first."""

from collections.abc import AsyncIterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydicom.uid import ExplicitVRLittleEndian

from samsyn import limits
from samsyn.dicom.report_documents import read_report_document
from samsyn.errors import BadInput, DamagedData, LimitExceeded
from samsyn.ingest.filing import REPORT_DOCUMENT
from samsyn.ingest.receive import Arrival
from samsyn.jobs.queue import Job
from samsyn.model.predicate import Everything
from samsyn.model.texts import ReportStatus
from samsyn.reports.examination import _joined
from samsyn.reports.forms.cda import read_cda
from samsyn.reports.forms.documents import DocumentFiling
from samsyn.reports.order import Arrangement, Role, by_report
from samsyn.store.index import examination_rows
from tests.hl7v2.messages import oru
from tests.reports.documents_made import (
    COMPREHENSIVE,
    ENHANCED,
    PDF_BYTES,
    cda,
    code,
    content,
    encapsulated,
    number,
    report,
    section,
    text,
)  # fmt: skip
from tests.reports.house import RIS, House
from tests.rot import rot

SYNTAX = str(ExplicitVRLittleEndian)
TEXT = "Inga tecken till pneumoni. Hjärtat är normalstort."


class Received(House):
    """A house whose waiting document jobs are done at once."""

    async def receive(self, data: bytes) -> str:
        receipt, _ = await self.intake.receive(Arrival(RIS, SYNTAX, "association"), data)
        for key, name in await self.all("SELECT job_key, name FROM job WHERE kind = ?", REPORT_DOCUMENT):
            await DocumentFiling(self.store).work(Job(key, REPORT_DOCUMENT, name, "", 0))
        return receipt.outcome

    async def arranged(self) -> tuple[Arrangement, ...]:
        def look(connection: Any) -> tuple[Arrangement, ...]:
            keys = frozenset(row[0] for row in connection.execute("SELECT patient_key FROM patient"))
            rows = [
                read(connection, Everything(), keys)
                for read in (examination_rows.studies, examination_rows.referrals, examination_rows.reports)
            ]
            return tuple(page for each in _joined(*rows) for page in by_report(each.reports))

        return await self.store.read(look)


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[Received]:
    opened = Received(tmp_path / "data")
    yield opened
    opened.close()


def shown(page: Arrangement) -> list[tuple[Role, str, str, list[str]]]:
    return [
        (each.role, each.version.form, each.version.text, [other.form for other in each.version.renditions])
        for each in page.shown
    ]


def test_a_basic_text_report_becomes_plain_lines_in_its_own_order() -> None:
    data = report(
        section("Findings", text("Lungorna är klara.\r\nHjärtat är normalt.")),
        section("Impression", text("Normalt.", "Impression")),
    )
    document = read_report_document(data, SYNTAX, "1.2.840.10008.5.1.4.1.1.88.11")
    assert document is not None
    assert document.text == "Findings\nLungorna är klara.\nHjärtat är normalt.\n\nImpression\nNormalt."
    assert (document.verified, document.signer, document.author) == (True, "Anna Berg", "Bo Ek")


@pytest.mark.parametrize("sop_class", [ENHANCED, COMPREHENSIVE])
def test_codes_numbers_and_dates_are_told_with_their_names_and_pictures_are_not(sop_class: str) -> None:
    data = report(
        section(
            "Findings",
            content("CODE", code("F1", "SRT", "Finding"), ConceptCodeSequence=[code("M1", "SRT", "Tumör")]),
            number("Längsta diameter", "18", "mm"),
            content("DATE", code("D1", "99T", "Jämförd med"), Date="20230315"),
            content("IMAGE", code("I1", "99T", "Källbild")),
        ),
        sop_class=sop_class,
    )
    document = read_report_document(data, SYNTAX, sop_class)
    assert document is not None
    assert document.text.split("\n") == [
        "Findings",
        "Finding: Tumör",
        "Längsta diameter: 18 mm",
        "Jämförd med: 20230315",
    ]
    assert [(each.name, each.value, each.unit, each.context) for each in document.measurements] == [
        ("Längsta diameter", "18", "mm", ("Findings",))
    ]


def test_a_content_tree_is_bounded_and_its_depth_costs_no_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samsyn.dicom.report_documents.MAX_SR_ITEMS", 20)
    wide = report(section("Findings", *(text(str(place)) for place in range(40))))
    with pytest.raises(LimitExceeded, match="MAX_SR_ITEMS"):
        read_report_document(wide, SYNTAX, "1.2.840.10008.5.1.4.1.1.88.11")


async def test_an_sr_alone_is_a_report(house: Received) -> None:
    assert await house.receive(report(section("Findings", text("Lungorna är klara.")))) == "stored"
    (page,) = await house.arranged()
    assert shown(page) == [(Role.REPORT, "sr", "Findings\nLungorna är klara.", [])]
    assert page.standing is ReportStatus.FINAL


async def test_a_document_that_has_rotted_becomes_no_report(house: Received) -> None:
    data = report(section("Findings", text("Lungorna är klara.")))
    receipt, _ = await house.intake.receive(Arrival(RIS, SYNTAX, "association"), data)
    assert receipt.outcome == "stored"
    ((uid, segment, offset),) = await house.all("SELECT sop_uid, segment, body_offset FROM instance")
    rot(house.store, segment, offset + data.index(b"klara"))
    with pytest.raises(DamagedData):
        await DocumentFiling(house.store).work(Job(1, REPORT_DOCUMENT, uid, "", 0))
    assert await house.arranged() == ()


@pytest.mark.parametrize(
    ("verified", "moment"),
    [
        ("20240315101500", "2024-03-15T09:15:00+00:00"),  # at the data set's offset, +0100
        ("20240315101500+0000", "2024-03-15T10:15:00+00:00"),
        ("20240315101500-0500", "2024-03-15T15:15:00+00:00"),
        ("20240315101500.25+0000", "2024-03-15T10:15:00+00:00"),
        ("20240315101500.123456+0000", "2024-03-15T10:15:00+00:00"),
        ("20240315101500.123456", "2024-03-15T09:15:00+00:00"),
        ("202403151015", "2024-03-15T09:15:00+00:00"),
    ],
)
async def test_an_sr_was_signed_when_its_own_zone_says(house: Received, verified: str, moment: str) -> None:
    await house.receive(report(section("Findings", text(TEXT)), verified=verified))
    assert await house.all("SELECT result_time FROM report") == [(moment,)]


@pytest.mark.parametrize(
    "told", ["20240315101500.1234567", "20240315101500.1234+0000", "20240315101500+0000"]
)
async def test_a_cda_with_fractions_of_seconds_keeps_its_moment(house: Received, told: str) -> None:
    await house.receive(encapsulated(cda(TEXT, signed=told)))
    hour = "10" if told.endswith("+0000") else "09"
    assert await house.all("SELECT result_time FROM report") == [(f"2024-03-15T{hour}:15:00+00:00",)]


async def test_an_unverified_sr_is_preliminary_and_signed_by_nobody(house: Received) -> None:
    await house.receive(report(section("Findings", text("Lungorna är klara.")), verified=""))
    (page,) = await house.arranged()
    assert page.standing is ReportStatus.PRELIMINARY
    assert page.shown[0].version.signer == ""


async def test_message_sr_cda_and_pdf_are_one_report_in_every_order(tmp_path: Path) -> None:
    seen = []
    for place, order in enumerate(permutations(("message", "sr", "cda", "pdf"))):
        house = Received(tmp_path / str(place))
        for form in order:
            if form == "message":
                assert (await house.send(oru(text=TEXT))).verdict.code == "AA"
            else:
                made = {
                    "sr": lambda: report(section("Utlåtande", text(TEXT))),
                    "cda": lambda: encapsulated(cda(f"<paragraph>{TEXT}</paragraph>"), "2.25.73"),
                    "pdf": lambda: encapsulated(PDF_BYTES),
                }[form]()
                assert await house.receive(made) == "stored"
        seen.append(
            [
                (shown(page), page.standing, [each.text for each in page.earlier])
                for page in await house.arranged()
            ]
        )
        house.close()
    assert len(seen) == 24
    assert all(each == seen[0] for each in seen)
    assert seen[0] == [([(Role.REPORT, "text", TEXT, ["cda", "pdf", "sr"])], ReportStatus.FINAL, [])]


async def test_an_sr_of_the_final_never_hides_the_addendum(house: Received) -> None:
    await house.send(oru(text=TEXT))
    await house.send(oru(status="A", text="Tillägg.", control="M2", f22="20240316101500"))
    await house.receive(report(section("Utlåtande", text(TEXT))))
    (page,) = await house.arranged()
    assert [(role, words) for role, _, words, _ in shown(page)] == [
        (Role.ADDENDUM, "Tillägg."),
        (Role.REPORT, TEXT),
    ]


async def test_an_sr_that_tells_something_new_is_a_version_of_its_own(house: Received) -> None:
    await house.send(oru(text=TEXT))
    later = report(
        section("Utlåtande", text("Pneumoni i vänster underlob.")),
        verified="20240316090000+0100",
        replaces=True,
    )
    await house.receive(later)
    (page,) = await house.arranged()
    assert page.standing is ReportStatus.CORRECTION
    assert [each.text for each in page.earlier] == [TEXT]


async def test_a_cda_addendum_stands_above_the_report(house: Received) -> None:
    await house.send(oru(text=TEXT))
    await house.receive(encapsulated(cda("<paragraph>Tillagt.</paragraph>", "20240317101500+0100", "APND")))
    (page,) = await house.arranged()
    assert [role for role, *_ in shown(page)] == [Role.ADDENDUM, Role.REPORT]


async def test_a_scanned_referral_is_no_report_and_a_measurement_report_only_gives_numbers(
    house: Received,
) -> None:
    await house.receive(encapsulated(PDF_BYTES, title="Remiss"))
    assert await house.arranged() == ()
    title = code("126000", "DCM", "Imaging Measurement Report")
    await house.receive(
        report(
            section("Measurement Group", number("Volym", "12.5", "cm3")), title=title, sop_class=COMPREHENSIVE
        )
    )
    assert await house.arranged() == ()
    assert await house.all("SELECT name, value, unit_code, context FROM measurement") == [
        ("Volym", "12.5", "cm3", "Measurement Group")
    ]


async def test_the_job_repeated_changes_nothing(house: Received) -> None:
    await house.receive(
        report(section("Findings", text("Lungorna är klara."), number("Diameter", "3", "mm")))
    )
    for _ in range(2):
        await DocumentFiling(house.store).work(Job(1, REPORT_DOCUMENT, "2.25.71", "", 0))
    assert await house.all("SELECT COUNT(*) FROM report") == [(1,)]
    assert await house.all("SELECT COUNT(*) FROM measurement") == [(1,)]
    assert await house.all("SELECT COUNT(*) FROM audit WHERE event = 'FILE_REPORT'") == [(1,)]


def test_cda_tables_and_lists_are_lines_and_markup_has_no_effect() -> None:
    body = (
        "<paragraph>Rad ett<br/>rad två</paragraph><list><item>punkt</item></list>"
        "<table><tr><td>a</td><td>b</td></tr></table><paragraph>&lt;script&gt;</paragraph>"
    )
    assert read_cda(cda(body)).text == "Bedömning\nRad ett\nrad två\npunkt\na  b\n<script>"


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///x'>]><ClinicalDocument xmlns='urn:hl7-org:v3'>&a;</ClinicalDocument>",
        b"<ClinicalDocument xmlns='urn:hl7-org:v3'>",
        b"<other/>",
        b"",
    ],
)
def test_a_cda_document_with_a_dtd_or_of_another_kind_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput):
        read_cda(content)


def test_a_too_large_cda_document_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="MAX_CDA_BYTES"):
        read_cda(b"<" + b"x" * limits.MAX_CDA_BYTES)
