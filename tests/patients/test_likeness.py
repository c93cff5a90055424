"""When a sender's words about a person agree with what is known, differ, or contradict it."""

import pytest

from samsyn.model.patient import Demographics
from samsyn.patients.likeness import Agreement, Comparison, compare

TOLVAN = Demographics("Tolvansson^Tolvan", "19121212", "M")
AGREES, DIFFERS, CONTRADICTS = Agreement.AGREES, Agreement.DIFFERS, Agreement.CONTRADICTS


@pytest.mark.parametrize(
    ("said", "agreement", "fields"),
    [
        (Demographics("Tolvansson^Tolvan", "19121212", "M"), AGREES, ()),
        (Demographics("TOLVANSSON^TOLVAN^ERIK", "19121212"), AGREES, ()),
        (Demographics("Tolvanson^Tolvan"), AGREES, ()),
        (Demographics("Tolvansson^T"), AGREES, ()),
        (Demographics(), AGREES, ()),
        (Demographics("Okänd^Man", "", "M"), AGREES, ()),
        (Demographics("Akut^Trauma"), AGREES, ()),
        (Demographics("Bildnamn^Tolvan", "19121212"), DIFFERS, ("name",)),
        (Demographics("Ekström^Åsa", "19121212", "M"), DIFFERS, ("name",)),
        (Demographics("Tolvansson^Tolvan", "19121221"), DIFFERS, ("birth_date",)),
        (Demographics("Tolvansson^Tolvan", "19121212", "F"), DIFFERS, ("sex",)),
        (Demographics("Ekström^Åsa"), DIFFERS, ("name",)),
        (Demographics("Ekström^Åsa", "19680912"), CONTRADICTS, ("name", "birth_date")),
        (Demographics("Ekström^Åsa", "", "F"), CONTRADICTS, ("name", "sex")),
        (Demographics("Ekström^Åsa", "19121212", "F"), DIFFERS, ("name", "sex")),
        (Demographics("Ekström^Åsa", "19680912", "F", protected=True), AGREES, ()),
    ],
)
def test_spelling_differs_and_only_another_person_contradicts(
    said: Demographics, agreement: Agreement, fields: tuple[str, ...]
) -> None:
    assert compare(TOLVAN, said) == Comparison(agreement, fields)
    assert compare(said, TOLVAN) == Comparison(agreement, fields)


def test_a_protected_person_may_be_sent_under_any_name() -> None:
    known = Demographics("Tolvansson^Tolvan", "19121212", "M", protected=True)
    assert compare(known, Demographics("Fingerad^Namn", "19500101", "F")).agreement is AGREES
