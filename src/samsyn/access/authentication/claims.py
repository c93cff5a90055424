"""From the identity provider's claims to a subject with a chosen assignment. Pure.

The claims are those of the national identity provider; their names are a setting. People are known by their
employee's HSA-id, never by `sub`, which is transient. HSA-ids are kept in upper case.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from samsyn.errors import ConfigurationError, NotAuthenticated
from samsyn.model.subject import Assignment, Purpose, Right, Role, Subject, SubjectKind

_HSA_ID: Final = re.compile(r"SE[0-9]{10}(?:[0-9]{2})?-[A-Z0-9]{1,20}")
_MAX_RIGHTS: Final = 200
_MAX_TEXT: Final = 256
OUR_SYSTEM: Final = "SAMSYN"
"""The system id of roles that are meant for us, in `systemId;role` (HSA's hsaSystemRole)."""
KNOWN_ROLES: Final = frozenset(role.value for role in Role)


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """What the identity provider calls its claims; the defaults are the national provider's."""

    employee: str = "employeeHsaId"
    given_name: str = "given_name"
    family_name: str = "family_name"
    commission: str = "commissionHsaId"
    commission_name: str = "commissionName"
    purpose: str = "commissionPurpose"
    rights: str = "commissionRight"
    unit: str = "healthCareUnitHsaId"
    unit_name: str = "healthCareUnitName"
    provider: str = "healthCareProviderHsaId"
    provider_name: str = "healthCareProviderName"
    person: str = "personalIdentityNumber"
    roles: str = "systemRole"
    protected: str = "protectedPerson"


def renamed(names: ClaimNames, changes: Mapping[str, str]) -> ClaimNames:
    """The names with an operator's own. ConfigurationError: a claim that we do not ask for."""
    unknown = set(changes) - {each.name for each in fields(ClaimNames)}
    if unknown:
        raise ConfigurationError(f"[login.claims] knows no {', '.join(sorted(unknown))}")
    return replace(names, **changes)


@dataclass(frozen=True, slots=True)
class PersonLoggedIn:
    """A private person (patient) who has logged in: the number that the provider vouches for, as it was sent."""

    number: str
    name: str


def subject_of(
    claims: Mapping[str, Any], names: ClaimNames, *, needs_assignment: bool = True
) -> Subject | PersonLoggedIn:
    """The member of staff with the chosen assignment, or a private person.

    `needs_assignment` False: assignments come from elsewhere, so a member of staff may come without one.
    NotAuthenticated: neither an employee with a complete assignment nor a person; an HSA-id that is none; an
    unknown purpose. Nothing is guessed and no default right is given.
    """
    name = f"{_text(claims, names.given_name)} {_text(claims, names.family_name)}".strip()
    employee = _hsa_id(claims, names.employee)
    if not employee:
        number = _text(claims, names.person)
        if not number:
            raise NotAuthenticated("neither an employee nor a person")
        return PersonLoggedIn(number, name)
    return Subject(
        SubjectKind.STAFF,
        employee,
        name,
        _assignment(claims, names) if needs_assignment or _tells_assignment(claims, names) else None,
        roles=_roles(claims, names),
        protected=_protected(claims, names),
    )


def patient(person: PersonLoggedIn, patient_key: int) -> Subject:
    """The private person as reader of the own record, once the house has told who it is."""
    return Subject(SubjectKind.PATIENT, f"patient-{patient_key}", person.name, None, patient_key=patient_key)


def _tells_assignment(claims: Mapping[str, Any], names: ClaimNames) -> bool:
    return all(_text(claims, name) for name in (names.commission, names.unit, names.provider))


def _assignment(claims: Mapping[str, Any], names: ClaimNames) -> Assignment:
    commission, unit, provider = (
        _hsa_id(claims, name) for name in (names.commission, names.unit, names.provider)
    )
    if not commission or not unit or not provider:
        raise NotAuthenticated("no complete assignment was chosen")
    try:
        purpose = Purpose(_text(claims, names.purpose))
    except ValueError:
        raise NotAuthenticated("an unknown purpose") from None
    if purpose is Purpose.OWN_RECORD:
        raise NotAuthenticated("an unknown purpose")
    return Assignment(
        commission,
        _text(claims, names.commission_name),
        purpose,
        provider,
        _text(claims, names.provider_name),
        unit,
        _text(claims, names.unit_name),
        _rights(claims, names),
    )


def _rights(claims: Mapping[str, Any], names: ClaimNames) -> tuple[Right, ...]:
    rights = []
    for text in _texts(claims, names.rights):
        parts = [part.strip() for part in text.split(";")]
        if len(parts) == 3 and all(parts):
            rights.append(Right(*parts))
    return tuple(rights)


def _roles(claims: Mapping[str, Any], names: ClaimNames) -> frozenset[str]:
    found = set()
    for text in _texts(claims, names.roles):
        system, _, role = text.partition(";")
        if system.strip().upper() == OUR_SYSTEM and role.strip() in KNOWN_ROLES:
            found.add(role.strip())
    return frozenset(found)


def _protected(claims: Mapping[str, Any], names: ClaimNames) -> bool:
    """Whether the name is protected; anything but a clear no counts as yes (the closed side)."""
    value = claims.get(names.protected, False)
    return value is not False and str(value).strip().lower() not in ("", "false", "0", "n")


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
        raise NotAuthenticated(f"the claim {name} is no short text")
    return value.strip()


def _texts(claims: Mapping[str, Any], name: str) -> list[str]:
    value = claims.get(name, [])
    if isinstance(value, str):
        value = [value]
    if (
        not isinstance(value, list)
        or len(value) > _MAX_RIGHTS
        or not all(isinstance(text, str) and len(text) <= _MAX_TEXT for text in value)
    ):
        raise NotAuthenticated(f"the claim {name} is no list of short texts")
    return value


def _hsa_id(claims: Mapping[str, Any], name: str) -> str:
    value = _text(claims, name).upper()
    if value and _HSA_ID.fullmatch(value) is None:
        raise NotAuthenticated(f"the claim {name} is no HSA-id")
    return value
