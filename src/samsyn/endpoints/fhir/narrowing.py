"""How a token's scopes narrow what its subject's View opens: kinds, reading or searching, patient, filters. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from samsyn.access.authentication.smart.scopes import Scope
from samsyn.access.authentication.smart.words import Granted
from samsyn.endpoints.fhir.common import Resource
from samsyn.endpoints.fhir.search import CHOOSES_PATIENT, PARAMETERS, matches, understand
from samsyn.errors import BadInput, LimitExceeded, NotAllowed
from samsyn.model.subject import Subject

READ, SEARCH, EITHER = "r", "s", "rs"
Keeps = Callable[[str, Resource], bool]
"""Whether a resource of a kind may be given out."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a token leaves. There is none for who comes by a session, a certificate or a system's own token."""

    granted: Granted

    def may(self, kind: str, letters: str) -> bool:
        """Whether anything of the kind may be read or searched at all."""
        return any(_is_for(scope, kind, letters) for scope in self.granted.scopes)

    def may_all(self, kinds: Iterable[str]) -> bool:
        """Whether everything of these kinds may be read: a document is given whole or not at all."""
        return all(
            any(_is_for(scope, kind, READ) and not scope.query for scope in self.granted.scopes)
            for kind in kinds
        )

    def of_person(self, keys: frozenset[int], kind: str, letters: str) -> Keeps:
        """What may be given out of the person with these keys, when `kind` is read or searched; what comes along with
        it must be readable or searchable itself."""
        is_launched = self.granted.patient_key in keys
        scopes = [each for each in self.granted.scopes if is_launched or each.context != "patient"]

        def keeps(other: str, resource: Resource) -> bool:
            wanted = letters if other == kind else EITHER
            return any(_is_for(each, other, wanted) and _fits(each, other, resource) for each in scopes)

        return keeps


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and how much of what he may see his token leaves; `narrowing` None = all of it."""

    subject: Subject
    narrowing: Narrowing | None = None

    def check(self, kind: str, letters: str) -> None:
        """NotAllowed when the token's scopes have nothing of the kind."""
        if self.narrowing is not None and not self.narrowing.may(kind, letters):
            raise NotAllowed(f"the token's scope has no {letters} of {kind}"[:80])

    def check_whole(self, kinds: Iterable[str]) -> None:
        """NotAllowed when the token leaves less than everything of these kinds."""
        if self.narrowing is not None and not self.narrowing.may_all(kinds):
            raise NotAllowed("the token's scope has only parts of what the document is made of")

    def narrowed(self, kind: str, letters: str) -> Callable[[frozenset[int]], Keeps] | None:
        """For Compartments.open."""
        narrowing = self.narrowing
        if narrowing is None:
            return None
        return lambda keys: narrowing.of_person(keys, kind, letters)


def _is_for(scope: Scope, kind: str, letters: str) -> bool:
    return scope.kind in ("*", kind) and not scope.letters.isdisjoint(letters)


def _fits(scope: Scope, kind: str, resource: Resource) -> bool:
    """Whether a granular scope's filters hold; one that is not understood opens nothing."""
    if not scope.query:
        return True
    given = parse_qsl(scope.query, keep_blank_values=True)
    if kind not in PARAMETERS or any(key in CHOOSES_PATIENT or key.startswith("_") for key, _ in given):
        return False
    try:
        return bool(given) and matches(understand(kind, given), resource)
    except (BadInput, LimitExceeded):
        return False
