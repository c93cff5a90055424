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


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Tolvansson^Tolvan", {"family": "Tolvansson", "given": ["Tolvan"]}),
        (
            "Ek^Eva Karin^Maria^Dr^d.y.",
            {"family": "Ek", "given": ["Eva", "Karin", "Maria"], "prefix": ["Dr"], "suffix": ["d.y."]},
        ),
        ("Yamada^Tarou=山田^太郎", {"family": "Yamada", "given": ["Tarou"]}),
    ],
)
def test_each_part_of_a_name_is_told_as_what_it_is(name: str, told: dict[str, object]) -> None:
    resource = people.patient("x1", Patient(1, (), Demographics(name)))
    assert resource["name"] == [told]
    assert complaints(resource) == []
