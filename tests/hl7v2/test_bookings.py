"""SIU: an examination's time, as the messages tell it."""

from datetime import UTC, datetime

import pytest

from samsyn.errors import BadInput
from samsyn.hl7v2.meaning import NOBODY, BookingEvent
from samsyn.hl7v2.profile import Profile, read_profile
from samsyn.model.texts import BookingStatus
from tests.hl7v2.messages import meant, message, msh, only, pid, segment


def siu(
    event: str = "S12",
    start: str = "20240320080000",
    control: str = "B1",
    sent: str = "20240315101530",
    patient: str | None = None,
    **more: str,
) -> bytes:
    """A booking with its service; `more` has SCH fields as f25=..."""
    sch = {
        1: "P7",
        2: "BOK77",
        7: "^DT thorax",
        11: "^^^20240320080000^20240320083000",
        26: "R100",
        27: "ACC300",
    }
    sch |= {int(key[1:]): value for key, value in more.items()}
    return message(
        msh(f"SIU^{event}", control, sent=sent),
        segment("SCH", sch),
        patient if patient is not None else pid(),
        segment("RGS", {1: "1"}),
        segment("AIS", {1: "1", 3: "CTTHX^DT thorax", 4: start}),
        segment("AIL", {1: "1", 3: "LAB3"}),
    )


def booking(raw: bytes, profile: Profile | None = None) -> BookingEvent:
    event = only(raw, profile)
    assert isinstance(event, BookingEvent)
    return event


def test_a_booking_tells_when_where_and_for_which_referral() -> None:
    event = booking(siu())
    assert (event.booking_id, event.status) == ("BOK77", BookingStatus.BOOKED)
    assert event.starts == datetime(2024, 3, 20, 7, 0, tzinfo=UTC)
    assert event.ends == datetime(2024, 3, 20, 7, 30, tzinfo=UTC)
    assert (event.placer_id, event.accession) == ("R100", "ACC300")
    assert (event.procedure_code, event.procedure_text) == ("CTTHX", "DT thorax")
    assert event.unit.unit == "SE9990000001-1001"


@pytest.mark.parametrize(
    ("event", "word", "status"),
    [
        ("S12", "", BookingStatus.BOOKED), ("S13", "Booked", BookingStatus.BOOKED),
        ("S14", "Complete", BookingStatus.DONE), ("S14", "Noshow", BookingStatus.CANCELLED),
        ("S15", "", BookingStatus.CANCELLED), ("S15", "Booked", BookingStatus.CANCELLED),
    ],
)  # fmt: skip
def test_the_event_goes_before_the_status_word(event: str, word: str, status: BookingStatus) -> None:
    assert booking(siu(event, f25=word)).status is status


def test_an_unknown_status_word_leaves_the_booking_standing_and_is_noted() -> None:
    interpretation = meant(siu("S14", f25="Kanske"))
    assert interpretation.notes == (
        "SCH-25: a booking status that the profile does not know, taken as booked",
    )


def test_a_group_booking_is_one_for_each_person() -> None:
    other = pid("199001012385^^^PNR", "Andersson^Anna", "19900101", "F")
    events = meant(siu(patient=f"{pid()}\r{other}")).events
    assert [event.patient.identifiers[0].value for event in events] == ["191212121212", "199001012385"]  # type: ignore[union-attr]


def test_an_unknown_unit_gives_nobody_a_relation() -> None:
    profile = read_profile('name = "own"\n[booking]\nunit = ["AIL-3.1"]')
    assert booking(siu(), profile).unit == NOBODY


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (siu(start="", f11=""), "AIS-4"),
        (siu(f1="", f2=""), "SCH-2"),
        (siu(start="20250229080000"), "AIS-4"),
        (siu(patient=segment("PV1", {1: "1"})), "PID"),
        (message(msh("SIU^S12"), pid()), "SCH"),
    ],
)
def test_what_is_missing_or_wrong_is_named(raw: bytes, place: str) -> None:
    with pytest.raises(BadInput, match=place):
        only(raw)


def test_a_cancel_needs_no_time() -> None:
    assert booking(siu("S15", start="", f11="")).starts is None
