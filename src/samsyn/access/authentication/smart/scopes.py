"""SMART scopes, versions 1 and 2 (SMART App Launch 2.2, section 3). Pure.

A scope only narrows: it is looked at beside the View, which decides first. Only reading and searching exist here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from samsyn import limits

LAUNCH, LAUNCH_PATIENT = "launch", "launch/patient"
CONTEXTS: Final = frozenset({LAUNCH, LAUNCH_PATIENT})
"""Scopes that ask for context rather than for data."""
OPENID, FHIR_USER = "openid", "fhirUser"
ONLINE, OFFLINE = "online_access", "offline_access"
BESIDE: Final = (OPENID, FHIR_USER, ONLINE, OFFLINE)
"""Scopes that ask for who it is, and for how long the app may go on."""
_SCOPE: Final = re.compile(
    r"(patient|user|system)/(\*|[A-Z][A-Za-z]{1,40})\.(?:(read|write|\*)|(c?r?u?d?s?))(?:\?(.{1,300}))?"
)
_LETTERS: Final = {"read": "rs", "write": "cud", "*": "cruds"}
_OFFERED: Final = frozenset("rs")


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope that is about data."""

    context: str
    """"patient" (the one of the launch), "user" or "system"."""
    kind: str
    """A resource type, or "*"."""
    letters: frozenset[str]
    """Of r (read) and s (search)."""
    query: str = ""
    """A granular scope's filters, as a search's parameters; "" = everything of the kind."""
    text: str = ""
    """As it was asked for, or as it was granted when less was."""


def understood(text: str) -> Scope | None:
    """The scope, or None for one that is unknown or asks for nothing that exists here."""
    found = _SCOPE.fullmatch(text)
    if found is None:
        return None
    context, kind, old, new, query = found.groups()
    asked = frozenset(_LETTERS[old] if old else new)
    letters = asked & _OFFERED
    if not letters or (old and query):
        return None
    written = "".join(each for each in "rs" if each in letters)
    plain = f"{context}/{kind}.{written}" + (f"?{query}" if query else "")
    return Scope(context, kind, letters, query or "", text if letters == asked else plain)


def granted(asked: str, allowed: Iterable[str], contexts: frozenset[str]) -> tuple[Scope, ...]:
    """What of the scopes asked for the client may have, in the contexts that there are ("patient", "user", "system"):
    what both the request and the registration say.

    At most limits.MAX_SCOPES are looked at.
    """
    known = [scope for each in allowed if (scope := understood(each)) is not None]
    found: dict[str, Scope] = {}
    for each in asked.split()[: limits.MAX_SCOPES]:
        wanted = understood(each)
        if wanted is None or wanted.context not in contexts:
            continue
        for wide in known:
            both = _both(wanted, wide)
            if both is not None:
                found.setdefault(both.text, both)
    return tuple(found.values())


def _both(wanted: Scope, wide: Scope) -> Scope | None:
    """What is in both scopes; None = nothing."""
    letters = wanted.letters & wide.letters
    kind = wide.kind if wanted.kind == "*" else wanted.kind
    query = wanted.query or wide.query
    if (
        wanted.context != wide.context
        or not letters
        or wide.kind not in ("*", kind)
        or (wanted.query and wide.query not in ("", wanted.query))
    ):
        return None
    if (kind, letters, query) == (wanted.kind, wanted.letters, wanted.query):
        return wanted
    written = "".join(letter for letter in "rs" if letter in letters)
    plain = f"{wanted.context}/{kind}.{written}" + (f"?{query}" if query else "")
    return replace(wanted, kind=kind, letters=letters, query=query, text=plain)
