"""Patient as a FHIR resource."""

import pytest

from samsyn.endpoints.fhir import people
from samsyn.model.patient import Demographics, Patient
from tests.fhir.structure import complaints


@pytest.mark.parametrize(
    ("deceased", "told"),
    [
        ("", {}),
        ("N", {}),
        ("Y", {"deceasedBoolean": True}),
        ("20260301", {"deceasedDateTime": "2026-03-01"}),
    ],
)
def test_a_death_is_told_with_its_day_when_it_is_known(deceased: str, told: dict[str, object]) -> None:
    facts = Demographics("Tolvansson^Tolvan", "19121212", "M", deceased=deceased)
    resource = people.patient("x1", Patient(1, (), facts))
    assert {name: value for name, value in resource.items() if name.startswith("deceased")} == told
    assert complaints(resource) == []
