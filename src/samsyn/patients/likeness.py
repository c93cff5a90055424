"""How well what a sender says about a person agrees with what is known about him. Pure.

A number can be typed wrongly or, for reserve numbers, be in use for two people; then name and birth date tell it.
Spelling, marriage and a missing field do not: they are flagged, not refused.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from samsyn.model.patient import Demographics
from samsyn.patients.names import sought_words


class Agreement(IntEnum):
    """From agreement to contradiction."""

    AGREES = 0
    DIFFERS = 1
    """Something is said otherwise: flag it on the object and in the steward's list."""
    CONTRADICTS = 2
    """It is hardly the same person: hold it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The outcome with the fields that differ ("name", "birth_date", "sex"), never their values."""

    agreement: Agreement
    fields: tuple[str, ...] = ()


_NO_NAMES: Final = frozenset(
    (
        "okand",
        "okant",
        "unknown",
        "unidentified",
        "anonym",
        "anonymous",
        "akut",
        "trauma",
        "katastrof",
        "nn",
        "n",
        "man",
        "kvinna",
        "male",
        "female",
        "gosse",
        "flicka",
        "pojke",
        "barn",
        "baby",
        "nyfodd",
        "uppgift",
        "saknas",
        "skyddad",
        "skyddade",
        "identitet",
        "sekretess",
        "patient",
        "namn",
        "namnlos",
    )
)
"""Words that stand where a name is not known, folded."""


def compare(known: Demographics, said: Demographics) -> Comparison:
    """What differs. Empty fields and place-holders say nothing; a protected person is not compared at all.

    Contradicting means no word of the name in common together with another birth date, or, where one of them has
    none, with another sex.
    """
    if known.protected or said.protected:
        return Comparison(Agreement.AGREES)
    fields: list[str] = []
    name = _names(known.name, said.name)
    if name:
        fields.append("name")
    births = known.birth_date and said.birth_date
    if births and known.birth_date != said.birth_date:
        fields.append("birth_date")
    if known.sex and said.sex and known.sex != said.sex:
        fields.append("sex")
    if name is Agreement.CONTRADICTS and ("birth_date" in fields or ("sex" in fields and not births)):
        return Comparison(Agreement.CONTRADICTS, tuple(fields))
    return Comparison(Agreement.DIFFERS if fields else Agreement.AGREES, tuple(fields))


def _names(known: str, said: str) -> Agreement:
    """Names agree when one has every word of the other, spelling apart; they contradict with none in common."""
    if known == said:
        return Agreement.AGREES
    one, other = _telling(known), _telling(said)
    if not one or not other:
        return Agreement.AGREES
    shared = [word for word in one if any(_sounds_like(word, each) for each in other)]
    back = [word for word in other if any(_sounds_like(word, each) for each in one)]
    if len(shared) == len(one) or len(back) == len(other):
        return Agreement.AGREES
    return Agreement.DIFFERS if shared else Agreement.CONTRADICTS


def _telling(name: str) -> list[str]:
    return [word for word in sought_words(name) if word not in _NO_NAMES and not word.isdigit()]


def _sounds_like(one: str, other: str) -> bool:
    """Equal, an initial, or one letter put in, left out or changed in a longer word."""
    if one == other or (min(len(one), len(other)) == 1 and one[0] == other[0]):
        return True
    if min(len(one), len(other)) < 4 or abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    return one[start + 1 :] in (other[start + 1 :], other[start:]) or one[start:] == other[start + 1 :]
