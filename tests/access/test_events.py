"""The audit vocabulary is closed, and every entry says who, for whom and whose."""

import re
from pathlib import Path

import samsyn
from samsyn import limits
from samsyn.access.events import OPENINGS, Activity, Event, activity_of, entry
from samsyn.model.subject import Purpose
from tests.access.people import FOREIGN, FOREIGN_UNIT, HIMSELF, ME, OWN, SYSTEM, UNIT, staff


def test_no_room_writes_an_event_that_the_vocabulary_does_not_know() -> None:
    root = Path(samsyn.__file__).parent
    names = {event.value for event in Event}
    for path in (*root.glob("ingest/*.py"), *root.glob("reports/*.py"), *root.glob("exchange/*.py")):
        for name in re.findall(
            r'"((?:STORE|HOLD|FILE|MERGE|UNMERGE|UPDATE|SEND)_[A-Z_]+)"', path.read_text()
        ):
            assert name in names, f"{path.name}: {name}"


def test_every_event_has_one_of_the_national_words() -> None:
    assert {activity_of(event) for event in Event} <= set(Activity)
    assert activity_of(Event.EMERGENCY_CONSENT) is Activity.EMERGENCY
    assert activity_of(Event.OPEN_IMAGES) is Activity.READ
    assert activity_of(Event.ATTEST_CONSENT) is Activity.WRITE
    assert activity_of(Event.EXPORT) is Activity.PRINT
    assert activity_of(Event.VIDIMERA) is Activity.ACKNOWLEDGE
    assert set(OPENINGS.values()) <= set(Event)


def test_an_entry_belongs_to_the_readers_provider_and_names_the_owner_of_what_was_read() -> None:
    made = entry(staff(), Event.OPEN_REPORT, 7, owner_provider=FOREIGN, owner_unit=FOREIGN_UNIT)
    assert (made.actor, made.actor_provider, made.actor_unit) == (ME, OWN, UNIT)
    assert (made.owner_provider, made.owner_unit) == (FOREIGN, FOREIGN_UNIT)
    assert (made.event, made.activity, made.purpose) == ("OPEN_REPORT", "Läsa", "Vård och behandling")
    assert entry(HIMSELF, Event.OWN_RECORD, 7).purpose == Purpose.OWN_RECORD
    assert entry(SYSTEM, Event.SEARCH).actor_provider == OWN


def test_wordings_are_kept_whole_up_to_their_limit() -> None:
    text = "å\n\x1b[31m" * limits.MAX_WORDING_CHARACTERS
    made = entry(staff(), Event.ATTEST_RELATION, 7, details={"wording": text})
    assert made.details["wording"] == text[: limits.MAX_WORDING_CHARACTERS]
