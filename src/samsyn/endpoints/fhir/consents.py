"""Consent (R4): registered grounds for reading (samtycke and the others of SVOD 3 kap.) and blocks (spärr). Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from samsyn.access.registers_shown import RegistersShown
from samsyn.endpoints.fhir.common import (
    HSA_SYSTEM,
    Resource,
    day,
    identity,
    instant,
    organization,
    reference,
    without_empty,
)
from samsyn.endpoints.fhir.texts import UnitName
from samsyn.model.registers import Block, BlockKind, Consent, Ground, Lift

_ACTS: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_OURS: Final = "urn:samsyn:ground"
_SCOPE: Final = MappingProxyType(
    {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/consentscope",
                "code": "patient-privacy",
                "display": "Privacy Consent",
            }
        ]
    }
)
_GROUNDS: Final = MappingProxyType(
    {
        Ground.CONSENT: ("OPTIN", "Samtycke, SVOD 3 kap. 1 §"),
        Ground.CHILD: ("", "Barn som inte kan samtycka, SVOD 3 kap. 1 § andra stycket"),
        Ground.INCAPACITY: ("", "Saknar förmåga att samtycka, SVOD 3 kap. 3 §"),
        Ground.EMERGENCY: ("EMRGONLY", "Fara för liv eller hälsa, SVOD 3 kap. 6 §"),
    }
)
"""Policy by ground: HL7's code where one means the same, and the paragraph."""
_BLOCKS: Final = MappingProxyType(
    {
        BlockKind.INNER: ("inner-block", "Inre spärr, PDL 4 kap. 4 §"),
        BlockKind.OUTER: ("outer-block", "Yttre spärr, SVOD 2 kap. 3 §"),
    }
)
_READING: Final = MappingProxyType(
    {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/consentaction",
                "code": "access",
                "display": "Access",
            }
        ]
    }
)
_RECIPIENT: Final = MappingProxyType(
    {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                "code": "IRCP",
                "display": "information recipient",
            }
        ]
    }
)
_TREATMENT: Final = MappingProxyType(
    {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT", "display": "treatment"}
)


def consents(handle: str, shown: RegistersShown, name: UnitName) -> list[Resource]:
    """The resources of the rows that a reader may see."""
    return [
        *(_ground(handle, each, name) for each in shown.consents),
        *(_block(handle, each, shown.lifts, name) for each in shown.blocks),
    ]


def _ground(handle: str, consent: Consent, name: UnitName) -> Resource:
    code, words = _GROUNDS[consent.ground]
    unit = organization(consent.unit, name(consent.provider, consent.unit))
    return without_empty(
        {
            **_common(handle, consent.consent_id, "INFA", "information access"),
            "dateTime": _utc(consent.starts),
            "organization": [organization(consent.provider, name(consent.provider, ""))],
            "policyRule": {
                "coding": [
                    {"system": _ACTS, "code": code} if code else {},
                    {"system": _OURS, "code": consent.ground.value},
                ],
                "text": words,
            },
            "provision": {
                "type": "permit",
                "period": _period(consent.starts, consent.ends),
                "actor": [{"role": _RECIPIENT, "reference": _who(consent.employee) or unit}],
                "action": [_READING],
                "purpose": [_TREATMENT],
            },
        }
    )


def _block(handle: str, block: Block, lifts: Sequence[Lift], name: UnitName) -> Resource:
    code, words = _BLOCKS[block.kind]
    first, last = (day(str(each)) if each else "" for each in (block.first, block.last))
    return without_empty(
        {
            **_common(handle, block.block_id, "IDSCL", "information disclosure"),
            "organization": [
                organization(block.unit or block.provider, name(block.provider, block.unit)),
            ],
            "policyRule": {
                "coding": [{"system": _ACTS, "code": "OPTOUT"}, {"system": _OURS, "code": code}],
                "text": words,
            },
            "provision": {
                "type": "deny",
                "action": [_READING],
                "dataPeriod": {"start": first, "end": last},
                "provision": [
                    {
                        "type": "permit",
                        "period": _period(each.starts, each.ends),
                        "actor": [
                            {
                                "role": _RECIPIENT,
                                "reference": _who(each.employee)
                                or {"identifier": {"system": HSA_SYSTEM, "value": each.unit}},
                            }
                        ],
                        "action": [_READING],
                    }
                    for each in lifts
                    if each.block_id == block.block_id
                ],
            },
        }
    )


def _common(handle: str, key: str, category: str, display: str) -> Resource:
    return {
        "resourceType": "Consent",
        "id": identity(handle, "consent", key),
        "status": "active",
        "scope": _SCOPE,
        "category": [{"coding": [{"system": _ACTS, "code": category, "display": display}]}],
        "patient": reference("Patient", handle),
    }


def _who(employee: str) -> Resource:
    """One person, by HSA-id: the name is not for everybody who may see the row."""
    return (
        {"type": "Practitioner", "identifier": {"system": HSA_SYSTEM, "value": employee}} if employee else {}
    )


def _period(starts: datetime, ends: datetime | None) -> Resource:
    return {"start": _utc(starts), "end": _utc(ends) if ends is not None else ""}


def _utc(moment: datetime) -> str:
    return instant(moment.astimezone(UTC))
