"""Swedish patient numbers in every written form: recognised, checked, made canonical, displayed.

Canonical is twelve characters without separator together with the issuer's OID. Every kind is checked by its
own rule; a number that follows no rule is not recognised, and never repaired. A number is a name, not a fact:
the day in it may be a nearby day (folkbokföringslagen 18 §), so a birth date is never derived from it.

Pure: no I/O, and the present day is an argument.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from samsyn.errors import UnknownIssuer
from samsyn.model.patient import PatientIdentifier


class Kind(StrEnum):
    """The kinds of Swedish patient numbers, by their Swedish names."""

    PERSONNUMMER = "personnummer"
    SAMORDNINGSNUMMER = "samordningsnummer"
    SLL = "reservnummer Region Stockholm"
    VGR = "reservnummer Västra Götalandsregionen"
    VARMLAND = "reservnummer Region Värmland"
    INERA = "reservnummer Inera"
    NRID = "nationellt reservnummer"


ISSUERS: Final = MappingProxyType(
    {
        Kind.PERSONNUMMER: "1.2.752.129.2.1.3.1",
        Kind.SAMORDNINGSNUMMER: "1.2.752.129.2.1.3.3",
        Kind.SLL: "1.2.752.97.3.1.3",
        Kind.VGR: "1.2.752.113.11.0.2.1.1.1",
        Kind.VARMLAND: "1.2.752.74.9.2",
        Kind.INERA: "1.2.752.129.2.1.3.2",
        Kind.NRID: "1.2.752.74.9.1",
    }
)
"""The OID that issues each kind."""

_KIND_OF_ISSUER: Final = MappingProxyType({oid: kind for kind, oid in ISSUERS.items()})
_FHIR_SYSTEMS: Final = MappingProxyType(
    {
        "http://electronichealth.se/identifier/personnummer": Kind.PERSONNUMMER,
        "http://electronichealth.se/identifier/samordningsnummer": Kind.SAMORDNINGSNUMMER,
        "http://electronichealth.se/identifier/nationelltReservnummer": Kind.NRID,
    }
)
_POPULATION_REGISTER: Final = frozenset({Kind.PERSONNUMMER, Kind.SAMORDNINGSNUMMER})
"""Both are often sent under either's OID; the day in the number tells without doubt which one it is."""

_PREFERENCE: Final[tuple[Kind | None, ...]] = (
    Kind.PERSONNUMMER,
    Kind.SAMORDNINGSNUMMER,
    Kind.NRID,
    Kind.SLL,
    Kind.VGR,
    Kind.VARMLAND,
    Kind.INERA,
    None,
)

MAX_CHARACTERS: Final = 64
"""Characters of an identifier as sent: the longest DICOM PatientID (LO, PS3.5 6.2)."""

_EVERY_KIND: Final = frozenset(Kind)
_CHARACTERS: Final = 12
"""Characters of every kind's canonical form."""
_EARLIEST_YEAR: Final = 1840
"""Nobody born earlier was alive when the numbers were introduced (1947)."""
_LETTER_VALUES_VGR: Final = MappingProxyType({"K": 5, "M": 7, "X": 8})
_OID: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]*)){2,}")
_SPACES: Final = re.compile("[ \t\u00a0\u2009\u202f]")
_HYPHENS: Final = re.compile("[\u2010\u2011\u2012\u2013\u2212]")


@dataclass(frozen=True, slots=True)
class Recognised:
    """A number that follows its kind's own rule, in canonical form."""

    kind: Kind
    identifier: PatientIdentifier


def luhn(digits: list[int]) -> int:
    """The check digit of the digits, weights 2, 1, 2 … from the left; a value above nine counts its digits."""
    total = 0
    for place, digit in enumerate(digits):
        product = digit * (2 if place % 2 == 0 else 1)
        total += product // 10 + product % 10
    return -total % 10


def _checks(text: str, first: int, letters: MappingProxyType[str, int] = MappingProxyType({})) -> bool:
    """Whether position 12 is the Luhn digit of positions `first` to 11 (counted from one)."""
    values = [letters[sign] if sign in letters else int(sign) for sign in text[first - 1 : 11]]
    return luhn(values) == int(text[11])


def _day(text: str, less: int = 0) -> date | None:
    """The calendar day that YYYYMMDD names when `less` is taken from its day; None when there is no such."""
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]) - less)
    except ValueError:
        return None


def _is_population_number(text: str, less: int, today: date) -> bool:
    if re.fullmatch(r"[0-9]{12}", text) is None:
        return False
    day = _day(text, less)
    # A nearby day may lie after the birth (18 §), so the month that has begun is not yet the future.
    return (
        day is not None
        and day.year >= _EARLIEST_YEAR
        and day <= today + timedelta(days=31)
        and _checks(text, first=3)
    )


def _is_personnummer(text: str, today: date) -> bool:
    return _is_population_number(text, 0, today)


def _is_samordningsnummer(text: str, today: date) -> bool:
    """As a personnummer with 60 added to the day (lag 2022:1697)."""
    return _is_population_number(text, 60, today)


def _is_sll(text: str, today: date) -> bool:
    """`99yyyyNNNNNC`: yyyy is the year of issue, and the check digit leaves out the first two digits of it.

    Numbers are issued with years from 1980 on; published test numbers carry earlier ones, so those pass too.
    """
    return (
        re.fullmatch(r"99[0-9]{10}", text) is not None
        and 1900 <= int(text[2:6]) <= 2299
        and _checks(text, first=5)
    )


def _is_vgr(text: str, today: date) -> bool:
    """`yyyymmddGggC`: G is K, M or X and counts 5, 7 or 8 in the check digit; gg 06-89."""
    return (
        re.fullmatch(r"(18|19|20|21)[0-9]{6}[KMX][0-9]{3}", text) is not None
        and _day(text) is not None
        and 6 <= int(text[9:11]) <= 89
        and _checks(text, first=3, letters=_LETTER_VALUES_VGR)
    )


def _is_varmland(text: str, today: date) -> bool:
    """`yyyymmddABNC`: letters and no check digit; a last digit 1-9 marks a test number."""
    return re.fullmatch(r"(18|19|20|21)[0-9]{6}[A-Z]{2}[0-9][A-Z1-9]", text) is not None and (
        _day(text) is not None
    )


def _is_inera(text: str, today: date) -> bool:
    """`yyyymmxxNNNC`: xx 32-59 stands where a day would, so that it is no personnummer."""
    return (
        re.fullmatch(r"[0-9]{12}", text) is not None
        and 1800 <= int(text[:4]) <= 2199
        and 1 <= int(text[4:6]) <= 12
        and 32 <= int(text[6:8]) <= 59
        and _checks(text, first=3)
    )


def _is_nrid(text: str, today: date) -> bool:
    """`XXYYMMDDNNGC`: century moved by threes, or 00 for an unknown birth date (MM 20-99, DD 40-59).

    The algorithm of the last character is not public, so it is not verified; published examples break the
    bounds of XX, so those are read leniently.
    """
    if re.fullmatch(r"[0-9]{8}[A-HJ-NPR-UX-Z]{2}[0-9][0-9A-Z]", text) is None:
        return False
    century, month, day = int(text[:2]), int(text[4:6]), int(text[6:8])
    if century == 0:
        return month >= 20 and 40 <= day <= 59
    return century >= 22 and 1 <= month <= 12 and 1 <= day <= 31


_RULES: Final[MappingProxyType[Kind, Callable[[str, date], bool]]] = MappingProxyType(
    {
        Kind.PERSONNUMMER: _is_personnummer,
        Kind.SAMORDNINGSNUMMER: _is_samordningsnummer,
        Kind.SLL: _is_sll,
        Kind.VGR: _is_vgr,
        Kind.VARMLAND: _is_varmland,
        Kind.INERA: _is_inera,
        Kind.NRID: _is_nrid,
    }
)
"""No text satisfies two of these rules (tests/patients proves it)."""


def _without_separators(text: str) -> tuple[str, str]:
    """The bare characters in upper case and the sign before the last four ("", "-" or "+")."""
    if len(text) > MAX_CHARACTERS:
        return "", ""
    bare = text.upper() if text.isalnum() else _HYPHENS.sub("-", _SPACES.sub("", text)).upper()
    if not bare.isascii() or len(bare) not in (10, 11, 12, 13):
        return "", ""
    if len(bare) in (11, 13):
        if bare[-5] not in "-+":
            return "", ""
        return bare[:-5] + bare[-4:], bare[-5]
    return bare, ""


def _with_century(ten: str, sign: str, today: date) -> str | None:
    """Twelve digits for ten: the latest century that is not in the future, one that makes 100 years for "+".

    The sign is "+" from the year in which a person turns 100 (folkbokföringslagen 18 §).
    """
    if re.fullmatch(r"[0-9]{10}", ten) is None:
        return None
    less = 60 if int(ten[4:6]) > 60 else 0
    for century in range(today.year // 100, _EARLIEST_YEAR // 100 - 1, -1):
        twelve = f"{century:02d}{ten}"
        day = _day(twelve, less)
        if day is None or day > today or (sign == "+" and today.year - day.year < 100):
            continue
        return twelve
    return None


def recognise(text: str, today: date) -> Recognised | None:
    """Read any written form of a Swedish patient number; None for whatever follows no kind's rule.

    Twelve characters, with or without hyphen or spaces, for every kind; ten digits (`121212-1212`,
    `121212+1212`, `1212121212`) for personnummer and samordningsnummer only, since a reserve number loses its
    meaning when it is cut. `today` is the day in Sweden and decides the century of ten digits.
    """
    bare, sign = _without_separators(text)
    if len(bare) == 10:
        twelve = _with_century(bare, sign, today)
        kinds = _POPULATION_REGISTER
    else:
        twelve, kinds = bare, _EVERY_KIND
    if twelve is None or len(twelve) != _CHARACTERS:
        return None
    for kind, follows in _RULES.items():
        if kind in kinds and follows(twelve, today):
            return Recognised(kind, PatientIdentifier(ISSUERS[kind], twelve))
    return None


def population_number(text: str, today: date) -> PatientIdentifier | None:
    """The personnummer or samordningsnummer that the text is; None: neither."""
    recognised = recognise(text, today)
    if recognised is None or recognised.kind not in _POPULATION_REGISTER:
        return None
    return recognised.identifier


def mistyped(text: str, today: date) -> tuple[Recognised, ...]:
    """The numbers that somebody may have meant who wrote one character wrongly or exchanged two.

    Only numbers that follow their kind's rule; the text's own meaning is not among them. They are to be suggested
    to a human being, never to be opened in place of what was asked for.
    """
    bare, sign = _without_separators(text)
    if not bare:
        return ()
    forms = [
        bare[:place] + other + bare[place + 1 :]
        for place, character in enumerate(bare)
        if character.isdigit()
        for other in "0123456789"
        if other != character
    ]
    forms += [
        bare[:one] + bare[other] + bare[one + 1 : other] + bare[one] + bare[other + 1 :]
        for other in range(len(bare))
        for one in range(other)
        if bare[one] != bare[other]
    ]
    own = recognise(text, today)
    found: dict[Recognised, None] = {}
    for form in forms:
        recognised = recognise(form[:-4] + sign + form[-4:], today)
        if recognised is not None and recognised != own:
            found[recognised] = None
    return tuple(found)


def kind_of(identifier: PatientIdentifier) -> Kind | None:
    """The Swedish kind that the issuer stands for; None for local identifiers."""
    return _KIND_OF_ISSUER.get(identifier.issuer)


def preference(identifier: PatientIdentifier) -> int:
    """Place among a person's identifiers, the one that names him best first: the population register's numbers
    before reserve numbers before local ones."""
    return _PREFERENCE.index(kind_of(identifier))


def display(identifier: PatientIdentifier) -> str:
    """The form that people read: `YYYYMMDD-NNNN` for the Swedish kinds, as sent for others."""
    if kind_of(identifier) is None or len(identifier.value) != 12:
        return identifier.value
    return f"{identifier.value[:8]}-{identifier.value[8:]}"


def _sent_kind(issuer: str) -> Kind | None:
    return _KIND_OF_ISSUER.get(issuer.removeprefix("urn:oid:")) or _FHIR_SYSTEMS.get(issuer)


@lru_cache(maxsize=4_096)
def identify(text: str, issuer_as_sent: str, default_issuer: str, today: date) -> PatientIdentifier:
    """The (issuer, value) that a sender means; the issuer that was sent weighs more than the look of the value.

    - A Swedish issuer was sent: the value must follow that kind's rule (personnummer and samordningsnummer may
      stand in for each other, the day tells them apart).
    - No issuer, or the sender's own one: a value that follows a Swedish kind's rule is that; anything else is
      the sender's local identifier under `default_issuer`, kept as sent.
    - Another issuer as an OID: a name space of its own, so the value is kept as sent under it.

    Raises UnknownIssuer in every other case (no default, an issuer nobody knows, a value that breaks the rule
    of its issuer, several values in one): the object is held for a steward, never filed by guess.
    """
    value = text.strip()
    issuer = issuer_as_sent.strip()
    if not value or len(value) > MAX_CHARACTERS or "\\" in value or not value.isprintable():
        raise UnknownIssuer("empty, several or unprintable patient identifiers")
    recognised = recognise(value, today)
    sent = _sent_kind(issuer)
    if sent is not None:
        if recognised is not None and (
            recognised.kind == sent or {recognised.kind, sent} <= _POPULATION_REGISTER
        ):
            return recognised.identifier
        raise UnknownIssuer(f"the value does not follow the rule of {sent.value}")
    if issuer and issuer != default_issuer:
        oid = issuer.removeprefix("urn:oid:")
        if _OID.fullmatch(oid) is None:
            raise UnknownIssuer("an issuer that is neither known nor an OID")
        return PatientIdentifier(oid, value)
    if recognised is not None:
        return recognised.identifier
    if not default_issuer:
        raise UnknownIssuer("no issuer was sent and the sender has none of its own")
    return PatientIdentifier(default_issuer, value)
