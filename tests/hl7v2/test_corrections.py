"""Messages that tell another system of a correction."""

from datetime import UTC, datetime

from samsyn.hl7v2.corrections import Addressee, Person, linked
from samsyn.hl7v2.parsing import parse
from samsyn.model.patient import Demographics, PatientIdentifier

WHEN = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)


def test_each_part_of_a_name_goes_out_where_hl7_has_it() -> None:
    """XPN: family, given, further given names, suffix, prefix; an image's name may have more than one group."""
    known = Demographics("Ek^Eva^Maria^Dr^d.y.=山田^太郎")
    person = Person((PatientIdentifier("1.2.3", "7"),), known)
    message = parse(linked(Addressee("RIS", "NORD"), person, person, are_one=True, when=WHEN))
    named = [segment for segment in message.segments if segment.name == "PID"]
    parts = [[segment.text(5, part) for part in range(1, 8)] for segment in named]
    assert parts == [["Ek", "Eva", "Maria", "d.y.", "Dr", "", ""]] * 2
