"""MDM and the results of point-of-care devices: reports by other envelopes."""

from datetime import UTC, datetime

import pytest

from samsyn.errors import BadInput, NotSupported
from samsyn.hl7v2.acknowledgement import ACCEPTED, answers
from samsyn.hl7v2.header import peek
from samsyn.hl7v2.meaning import ReportEvent
from samsyn.hl7v2.profile import Profile, ReportRules, read_profile
from samsyn.model.texts import ReportStatus
from tests.hl7v2.messages import message, msh, obr, obx, only, pid, segment

P, F, A, C, X = ReportStatus


def txa(completion: str = "LA", **more: str) -> str:
    """A document with numbers, times and people; `more` has f12=..., f13=..."""
    fields = {
        1: "1", 2: "RAD^Röntgenutlåtande", 4: "20240315093000", 6: "20240315100000", 7: "20240315101000",
        9: "D1^Berg^Anna", 12: "DOC1", 14: "R100", 15: "ACC300", 17: completion, 19: "AV",
        22: "D2^Ek^Bo^^^^^^^^^^^^20240315111500",
    }  # fmt: skip
    return segment("TXA", fields | {int(key[1:]): value for key, value in more.items()})


def mdm(event: str, completion: str = "LA", text: str = "Inga fynd.", **more: str) -> bytes:
    lines = [
        msh(f"MDM^{event}"),
        segment("EVN", {1: event}),
        pid(),
        segment("PV1", {}),
        txa(completion, **more),
    ]
    return message(*lines, *([obx(text, "")] if text else []))


def report(raw: bytes, profile: Profile | None = None) -> ReportEvent:
    event = only(raw, profile)
    assert isinstance(event, ReportEvent)
    return event


@pytest.mark.parametrize(
    ("event", "completion", "status"),
    [
        ("T02", "DO", P), ("T02", "AU", F), ("T02", "LA", F), ("T04", "PA", P), ("T04", "LA", F), ("T06", "AU", A),
        ("T06", "IP", P), ("T08", "DI", P), ("T08", "AU", F), ("T10", "LA", C), ("T10", "DO", P), ("T11", "LA", X),
        ("T11", "", X),
    ],
)  # fmt: skip
def test_event_and_completion_tell_the_status(event: str, completion: str, status: ReportStatus) -> None:
    assert report(mdm(event, completion)).status is status


def test_a_document_tells_everything_that_a_report_tells() -> None:
    event = report(mdm("T02"))
    assert (event.accession, event.placer_id, event.filler_id) == ("ACC300", "R100", "DOC1")
    assert event.result_time == datetime(2024, 3, 15, 10, 15, tzinfo=UTC)
    assert (event.author, event.signer) == ("Anna Berg", "Bo Ek")
    assert (event.procedure_text, event.text) == ("Röntgenutlåtande", "Inga fynd.")
    assert event.examined == "20240315"


def test_addenda_and_replacements_belong_to_their_parent_document() -> None:
    assert report(mdm("T06", f12="DOC2", f13="DOC1")).filler_id == "DOC1"
    assert report(mdm("T10", f12="DOC3", f13="DOC1")).filler_id == "DOC1"


def test_an_order_beside_the_document_tells_the_accession_number() -> None:
    raw = message(msh("MDM^T02"), pid(), obr({18: "ACC7"}), txa(f15=""), obx("Text", ""))
    assert report(raw).accession == "ACC7"


def test_an_addendum_is_a_fragment_unless_the_dialect_repeats_the_whole() -> None:
    whole = Profile("whole", report=ReportRules(addendum="whole"))
    assert report(mdm("T06")).fragment
    assert report(mdm("T06", "DO")).fragment
    assert not report(mdm("T06"), whole).fragment
    assert not report(mdm("T10")).fragment


def test_a_preliminary_document_is_signed_by_nobody() -> None:
    assert report(mdm("T02", "DO")).signer == ""


def test_a_withdrawn_document_is_annulled_with_its_reason_whatever_the_event() -> None:
    event = report(mdm("T04", f19="CA", f21="Fel patient"))
    assert (event.status, event.reason) == (X, "Fel patient")


def test_a_cancel_needs_no_text_and_counts_from_when_it_was_sent() -> None:
    raw = message(msh("MDM^T11", sent="20240316120000"), pid(), txa(f22=""), segment("PV1", {}))
    event = report(raw)
    assert (event.status, event.text) == (X, "")
    assert event.result_time == datetime(2024, 3, 16, 11, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (mdm("T02", text=""), "OBX-5"),
        (mdm("T02", ""), "TXA-17"),
        (mdm("T02", "ZZ"), "TXA-17"),
        (mdm("T02", f15=""), "OBR-18 or TXA-15"),
        (message(msh("MDM^T02"), pid(), obx("Text")), "TXA"),
    ],
)
def test_what_is_missing_or_wrong_is_named(raw: bytes, place: str) -> None:
    with pytest.raises(BadInput, match=place):
        only(raw)


@pytest.mark.parametrize("event", ["T01", "T03", "T05", "T07", "T09"])
def test_events_without_content_are_not_taken(event: str) -> None:
    with pytest.raises(NotSupported):
        only(mdm(event))


def test_a_dialect_s_own_words_for_completion_are_laid_over_the_standard_s() -> None:
    profile = read_profile('name = "own"\n[document.statuses]\nSIGNERAD = "final"')
    assert report(mdm("T02", "SIGNERAD"), profile).status is F
    assert report(mdm("T02", "DO"), profile).status is P


@pytest.mark.parametrize("trigger", ["R30", "R31", "R32"])
def test_results_of_bedside_devices_are_reports_and_answered_by_their_own_event(trigger: str) -> None:
    raw = message(
        msh(f"ORU^{trigger}"), pid(), segment("ORC", {1: "NW", 3: "ACC9"}), obr(), obx("Inga fynd.")
    )
    assert report(raw).status is F
    (answer,) = answers(peek(raw), ACCEPTED, datetime(2024, 3, 15, tzinfo=UTC))
    assert b"|ACK^R33^ACK|" in answer


def test_an_unsigned_addendum_in_a_result_is_a_preliminary_fragment() -> None:
    event = report(message(msh("ORU^R01"), pid(), obr({25: "A"}), obx("Tillägg.", "P")))
    assert (event.status, event.fragment) == (P, True)
