"""Pages of a search, which go on behind a resource and not behind a number of resources.

What is filed, corrected or hidden while a client turns the page would move every later one by a place: a resource would
be given twice, or never. The address of the next page names the place where this one ended, sealed: there stand
dates and accession numbers in it, and nobody goes on in another search than his own.
"""

import base64
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from samsyn.endpoints.fhir.common import Resource
from samsyn.endpoints.fhir.search import Asked, ordered, sort_values
from samsyn.errors import BadInput
from samsyn.limits import MAX_GIVEN_NAMES
from samsyn.reports.examination import Examination

Place: TypeAlias = tuple[str, ...]
"""Where a resource's examination stands: date, time and reference, the latest first; () for what is of none."""
_NONCE_BYTES: Final = 12
_NAME_BYTES: Final = 6
"""Of a resource in a token: a thousand in one examination leave one in some hundred million searches confused."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the resources that match, and the token of the next page, "" for the last."""

    resources: list[Resource]
    next: str


def place_of(examination: Examination | None) -> Place:
    """The place of what belongs to the examination."""
    return (examination.date, examination.time, examination.reference) if examination is not None else ()


class Pages:
    """Turns pages. `key`: 32 bytes, the same on all nodes, so that any of them goes on."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def page(self, asked: Asked, found: Iterable[tuple[Resource, Place]]) -> Page:
        """The page that was asked for. `found`: everything that matches, in the order of its places, the latest first.

        BadInput: the token is none of this search.
        """
        pairs = list(found)
        places = {id(resource): place for resource, place in pairs}
        resources = ordered(asked, [resource for resource, _ in pairs])
        positions = [(sort_values(asked, each), places[id(each)]) for each in resources]
        before = self._opened(asked) if asked.page else None
        left = list(range(len(resources)))
        if before is not None:
            left = _behind(asked, resources, positions, before)
        shown = left[: asked.count]
        if not shown or len(left) == len(shown):
            return Page([resources[each] for each in shown], "")
        end = positions[shown[-1]]
        names = [_name(resources[each]) for each in shown if positions[each] == end]
        count = len(names)
        if before is not None and before.end == end:
            names, count = [*before.given, *names], before.count + count
        given = names if count <= MAX_GIVEN_NAMES else names[-1:]
        return Page([resources[each] for each in shown], self._sealed(asked, _Given(end, count, given)))

    def _sealed(self, asked: Asked, given: "_Given") -> str:
        nonce = os.urandom(_NONCE_BYTES)
        told = orjson.dumps([*given.end, given.count, given.given])
        data = nonce + self._cipher.encrypt(nonce, told, _search(asked))
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    def _opened(self, asked: Asked) -> "_Given":
        try:
            data = base64.urlsafe_b64decode(asked.page + "=" * (-len(asked.page) % 4))
            told = orjson.loads(
                self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _search(asked))
            )
        except (ValueError, InvalidTag):
            raise BadInput("_page is what the next link of this very search holds") from None
        values, place, count, given = told
        return _Given((tuple(values), tuple(place)), count, given)


@dataclass(frozen=True, slots=True)
class _Given:
    """What the pages before have given of the examination where the last one ended."""

    end: tuple[Place, Place]
    """What it is sorted by, and its place."""
    count: int
    given: list[str]
    """Their names; the last one's alone where they are more than an address can hold."""


def _search(asked: Asked) -> bytes:
    """What a token is bound to: the search without its page; how many at a time may change."""
    rest = sorted(pair for pair in asked.given if pair[0] not in ("_page", "_count"))
    return orjson.dumps([asked.kind, rest])


def _name(resource: Resource) -> str:
    digest = hashlib.sha256(f"{resource['resourceType']}/{resource['id']}".encode()).digest()
    return base64.b64encode(digest[:_NAME_BYTES]).decode()


def _behind(
    asked: Asked, resources: Sequence[Resource], positions: Sequence[tuple[Place, Place]], before: _Given
) -> list[int]:
    """Which resources come behind: of the same position those not given yet, then those of later positions."""
    same = [number for number, position in enumerate(positions) if position == before.end]
    names = [_name(resources[number]) for number in same]
    if before.count == len(before.given):
        left = [number for number, name in zip(same, names, strict=True) if name not in before.given]
    else:
        # Behind the last one; where that is gone, behind so many.
        last = before.given[0]
        left = same[names.index(last) + 1 if last in names else before.count :]
    later = (number for number, position in enumerate(positions) if _is_behind(asked, position, before.end))
    return [*left, *later]


def _is_behind(asked: Asked, position: tuple[Place, Place], last: tuple[Place, Place]) -> bool:
    for (_, descending), mine, its in zip(asked.sort, position[0], last[0], strict=True):
        if mine != its:
            # What lacks the value comes last, whichever way is sorted.
            return not mine or (bool(its) and (mine < its) is descending)
    return position[1] < last[1]
