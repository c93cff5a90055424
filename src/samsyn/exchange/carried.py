"""A reader's right, carried along with work that is done later. Pure.

What is carried is who asked, for what purpose, for whom and with which active choices; never what may be seen. When
the work is done, a View is opened anew from that, so that a block or an ended consent works until the last byte.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from samsyn.access.facts import Choices
from samsyn.access.view import View
from samsyn.model.subject import Assignment, Purpose, Right, Subject, SubjectKind


@dataclass(frozen=True, slots=True)
class Carried:
    """Everything that it takes to open the View again."""

    subject: Subject
    purpose: Purpose
    patient_keys: frozenset[int] | None
    choices: Choices

    @classmethod
    def of(cls, view: View) -> "Carried":
        """What the View was opened with."""
        return cls(view.subject, view.purpose, view.patient_keys, view.choices)


def written(carried: Carried) -> dict[str, Any]:
    """As plain values, for a job's payload."""
    subject, choices = carried.subject, carried.choices
    return {
        "kind": subject.kind.value,
        "hsa_id": subject.hsa_id,
        "name": subject.name,
        "roles": sorted(subject.roles),
        "assignment": _written_assignment(subject.assignment),
        "purpose": carried.purpose.value,
        "patient_keys": None if carried.patient_keys is None else sorted(carried.patient_keys),
        "choices": {
            "units_shown": choices.units_shown,
            "units": sorted(choices.units),
            "blocked_units_shown": choices.blocked_units_shown,
            "providers_shown": choices.providers_shown,
            "providers": sorted(choices.providers),
            "relevant": choices.relevant,
            "blocked_providers_shown": choices.blocked_providers_shown,
        },
    }


def read(values: dict[str, Any], session_id: str) -> Carried:
    """What `written` wrote, acting under this session in the audit journal."""
    choices = values["choices"]
    sets = {name: frozenset(choices[name]) for name in ("units", "providers")}
    subject = Subject(
        kind=SubjectKind(values["kind"]),
        hsa_id=values["hsa_id"],
        name=values["name"],
        assignment=_read_assignment(values["assignment"]),
        session_id=session_id,
        roles=frozenset(values["roles"]),
    )
    keys = values["patient_keys"]
    return Carried(
        subject,
        Purpose(values["purpose"]),
        None if keys is None else frozenset(keys),
        Choices(**{**choices, **sets}),
    )


def _written_assignment(assignment: Assignment | None) -> dict[str, Any] | None:
    if assignment is None:
        return None
    return {
        "hsa_id": assignment.hsa_id,
        "name": assignment.name,
        "purpose": assignment.purpose.value,
        "provider_hsa_id": assignment.provider_hsa_id,
        "provider_name": assignment.provider_name,
        "unit_hsa_id": assignment.unit_hsa_id,
        "unit_name": assignment.unit_name,
        "rights": [[right.activity, right.information, right.scope] for right in assignment.rights],
        "ends": assignment.ends.isoformat() if assignment.ends else None,
    }


def _read_assignment(values: dict[str, Any] | None) -> Assignment | None:
    if values is None:
        return None
    return Assignment(
        **{
            **values,
            "purpose": Purpose(values["purpose"]),
            "rights": tuple(Right(*each) for each in values["rights"]),
            "ends": datetime.fromisoformat(values["ends"]) if values["ends"] else None,
        }
    )
