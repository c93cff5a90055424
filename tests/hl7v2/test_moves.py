"""ADT about whose what is: links, moved identifiers, accounts and visits."""

import pytest

from samsyn.errors import BadInput, IdentityConflict
from samsyn.hl7v2.meaning import IdentifierMove, PatientLink, TextMove
from samsyn.hl7v2.profile import read_profile
from tests.hl7v2.messages import message, msh, only, pid, segment

LOCAL = "&2.25.1&ISO"
A, B = f"P1^^^{LOCAL}", f"P2^^^{LOCAL}"


def moved_pid(identifiers: str, second: str = "") -> str:
    return segment("PID", {1: "1", 2: second, 3: identifiers, 5: "Tolvansson^Tolvan"})


@pytest.mark.parametrize(("event", "linked"), [("A24", True), ("A37", False)])
def test_two_records_are_linked_and_unlinked(event: str, linked: bool) -> None:
    raw = message(
        msh(f"ADT^{event}"), segment("EVN", {1: event, 2: "20240401"}), pid(A), segment("PV1", {}), pid(B)
    )
    told = only(raw)
    assert isinstance(told, PatientLink)
    assert told.linked is linked
    assert [each.identifiers[0].value for each in (told.one, told.other)] == ["P1", "P2"]


def test_a_moved_identifier_is_told_with_whose_it_is_now() -> None:
    for head in (moved_pid(A, B), moved_pid(f"{A}~{B}")):
        told = only(message(msh("ADT^A43"), head, segment("MRG", {1: A, 4: "P9"})))
        assert isinstance(told, IdentifierMove)
        assert (told.moved.value, told.owner.identifiers[0].value) == ("P1", "P2")


@pytest.mark.parametrize(
    ("event", "mrg", "kind", "number"),
    [("A44", {1: A, 3: "K5"}, "account", "K5"), ("A45", {1: A, 5: "V7"}, "visit", "V7")],
)
def test_an_account_and_a_visit_are_told_with_former_and_present_owner(
    event: str, mrg: dict[int, str], kind: str, number: str
) -> None:
    told = only(message(msh(f"ADT^{event}"), pid(B), segment("MRG", mrg), segment("PV1", {19: "V7"})))
    assert isinstance(told, TextMove)
    assert (told.kind, told.number) == (kind, number)
    assert (told.former[0].value, told.owner.identifiers[0].value) == ("P1", "P2")


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (message(msh("ADT^A24"), pid(A)), "PID"),
        (message(msh("ADT^A24"), pid(A), pid(A)), r"PID\[2\]-3"),
        (message(msh("ADT^A37"), pid(A), pid(B), pid("P3")), "PID"),
        (message(msh("ADT^A43"), moved_pid(A), segment("MRG", {1: A})), "PID-2"),
        (message(msh("ADT^A43"), moved_pid(B), segment("MRG", {1: f"{A}~P4"})), "MRG-1"),
        (message(msh("ADT^A44"), pid(B), segment("MRG", {1: A})), "MRG-3"),
        (message(msh("ADT^A45"), pid(B), segment("MRG", {1: A})), "MRG-5"),
        (message(msh("ADT^A45"), pid(B), segment("MRG", {5: "V7"})), "MRG-1"),
        (message(msh("ADT^A45"), pid(B)), "MRG"),
    ],
)
def test_what_is_missing_or_wrong_is_named(raw: bytes, place: str) -> None:
    with pytest.raises(BadInput, match=place):
        only(raw)


@pytest.mark.parametrize(
    "raw",
    [
        message(msh("ADT^A40"), pid(A), segment("MRG", {1: B})),
        message(msh("ADT^A24"), pid(A), pid(B)),
        message(msh("ADT^A43"), moved_pid(A, B), segment("MRG", {1: A})),
    ],
)
def test_who_keeps_no_patient_register_leaves_merges_to_a_steward(raw: bytes) -> None:
    profile = read_profile('name = "clinic"\n[patient]\nidentity_events = "held"')
    with pytest.raises(IdentityConflict, match="steward"):
        only(raw, profile)
    own_visit = message(msh("ADT^A45"), pid(B), segment("MRG", {1: A, 5: "V7"}))
    assert isinstance(only(own_visit, profile), TextMove)
