"""Consent: every sort of ground and block is a valid resource that says what it is and for whom."""

from datetime import UTC, datetime, timedelta

import pytest

from samsyn.access.registers_shown import RegistersShown
from samsyn.endpoints.fhir.consents import consents
from samsyn.model.registers import Block, BlockKind, Consent, Ground, Lift
from tests.fhir.structure import complaints

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROVIDER, UNIT = "SE9990000001-0001", "SE9990000001-1003"


def name(provider: str, unit: str) -> str:
    return "Medicin Nordsjukhuset" if unit else "Nordsjukhuset"


@pytest.mark.parametrize("ground", list(Ground))
@pytest.mark.parametrize("employee", ["", "SE9990000001-9005"])
def test_a_ground_is_a_permission_for_its_unit_or_person(ground: Ground, employee: str) -> None:
    row = Consent("c1", 1, ground, PROVIDER, UNIT, employee, NOW, NOW + timedelta(days=1), "visit")
    (made,) = consents("a" * 32, RegistersShown((row,)), name)
    assert complaints(made) == []
    provision = made["provision"]
    assert provision["type"] == "permit"
    assert provision["period"] == {"start": "2026-03-01T12:00:00+00:00", "end": "2026-03-02T12:00:00+00:00"}
    who = provision["actor"][0]["reference"]
    assert who == (
        {
            "type": "Practitioner",
            "identifier": {"system": "urn:oid:1.2.752.129.2.1.4.1", "value": employee},
        }
        if employee
        else {"reference": f"Organization/{UNIT}", "display": "Medicin Nordsjukhuset"}
    )
    assert {"system": "urn:samsyn:ground", "code": ground.value} in made["policyRule"]["coding"]


@pytest.mark.parametrize(("kind", "unit"), [(BlockKind.INNER, UNIT), (BlockKind.OUTER, "")])
def test_a_block_is_a_denial_with_its_days_and_its_lifts_inside(kind: BlockKind, unit: str) -> None:
    block = Block("b1", 1, kind, PROVIDER, unit, 20200101, None)
    lifts = tuple(
        Lift("l1", key, 1, "SE9990000004-1001", "", NOW, NOW + timedelta(hours=3), "consent")
        for key in ("b1", "another")
    )
    (made,) = consents("a" * 32, RegistersShown((), (block,), lifts), name)
    assert complaints(made) == []
    provision = made["provision"]
    assert (provision["type"], provision["dataPeriod"]) == ("deny", {"start": "2020-01-01"})
    (lift,) = provision["provision"]
    assert (lift["type"], lift["period"]["end"]) == ("permit", "2026-03-01T15:00:00+00:00")
    assert made["organization"][0]["reference"] == f"Organization/{unit or PROVIDER}"
