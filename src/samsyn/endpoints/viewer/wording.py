"""How facts read on the pages: days, times, names of persons, kinds of examination, differences of texts."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from difflib import SequenceMatcher
from typing import Final

from samsyn.clock import STOCKHOLM
from samsyn.endpoints.viewer.language import Languages, Words
from samsyn.model.patient import Demographics, Patient, PatientIdentifier
from samsyn.model.person_name import PersonName
from samsyn.model.subject import Purpose
from samsyn.patients.identifiers import Kind, display, kind_of

_NO_PICTURES: Final = frozenset({"PR", "KO", "SR"})
"""Modalities that go with pictures and are no kind of examination themselves."""
_IN_DAYS: Final = 1
_IN_WEEKS: Final = 3
_IN_MONTHS: Final = 24
"""Whole months below which an age is told in days, weeks and months, as child care counts; above in years."""
_DIFFERENCE_WORDS: Final = 6_000
"""Words above which a difference is shown by lines: the comparison grows with the square."""


def day(text: str) -> str:
    """YYYY-MM-DD for YYYYMMDD; what can not be read so stays as sent."""
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if re.fullmatch(r"[0-9]{8}", text) else text


def moment(time: datetime | None) -> str:
    """YYYY-MM-DD HH:MM in Sweden, with its offset in the hour that the autumn repeats; "" for an unknown time."""
    return _told(time.astimezone(STOCKHOLM), "%Y-%m-%d %H:%M") if time else ""


def short_moment(time: datetime, now: datetime) -> str:
    """HH:MM for a time today, otherwise with its day; midnight at the end of a day is told as 24:00."""
    local, today = time.astimezone(STOCKHOLM), now.astimezone(STOCKHOLM).date()
    if (local.hour, local.minute) == (0, 0) and (local.date() - today).days == 1:
        return "24:00"
    return _told(local, "%H:%M" if local.date() == today else "%Y-%m-%d %H:%M")


def _told(local: datetime, form: str) -> str:
    """02:50 before 02:10 would read like the wrong order where both are told of the night that summer time ends."""
    ahead = local.utcoffset()
    is_repeated = ahead != local.replace(fold=1 - local.fold).utcoffset()
    return local.strftime(form) + (f" ({local:UTC%z})"[:-3] + ")" if is_repeated else "")


def age(birth: str, on: date, words: Words) -> str:
    """The age on a day, in the units of care; "" when the birth date (YYYYMMDD) is unknown or can not be right."""
    try:
        born = date(int(birth[:4]), int(birth[4:6]), int(birth[6:8]))
    except ValueError:
        return ""
    days = (on - born).days
    if days < 0:
        return ""
    months = (on.year - born.year) * 12 + on.month - born.month - (on.day < born.day)
    if months < _IN_DAYS:
        return words("patient.age_day") if days == 1 else words("patient.age_days", count=days)
    if months < _IN_WEEKS:
        return words("patient.age_weeks", count=days // 7)
    if months < _IN_MONTHS:
        return words("patient.age_months", count=months)
    return words("patient.age_years", count=months // 12)


def purpose_told(purpose: str, words: Words) -> str:
    """The purpose of a reading, which the journal has in the national words, in the page's; others as they are."""
    return words(f"purpose.{Purpose(purpose).name}") if purpose in set(Purpose) else purpose


def images_told(count: int, words: Words) -> str:
    """So many images, in words."""
    return words("steward.image" if count == 1 else "steward.images", count=count)


@dataclass(frozen=True, slots=True)
class NumberShown:
    """A patient number as people read it."""

    text: str
    kind: str
    issuer: str


@dataclass(frozen=True, slots=True)
class PatientShown:
    """A person as every page tells him; the name is masked when the identity is protected."""

    name: str
    number: NumberShown
    others: tuple[NumberShown, ...]
    sex: str
    born: str
    birth: str
    """The same within a sentence: born on that day, or that the day is unknown."""
    age: str
    """Today, or at the death; with words, also when it is unknown."""
    deceased: str
    """That the person is dead, with the day when it is known; "" otherwise."""
    is_protected: bool


def number_shown(identifier: PatientIdentifier, words: Words) -> NumberShown:
    """The number in its written form with its kind; local numbers tell their issuer."""
    kind = kind_of(identifier)
    match kind:
        case None:
            told = words("patient.kind_local")
        case Kind.PERSONNUMMER | Kind.SAMORDNINGSNUMMER:
            told = words(f"patient.kind_{kind.value}")
        case _:
            told = f"{words('patient.kind_reserve')} ({kind.value.partition(' ')[2] or kind.value})"
    return NumberShown(display(identifier), told, identifier.issuer if kind is None else "")


def patient_shown(
    patient: Patient, words: Words, now: datetime, sought: str = "", may_see: bool = False
) -> PatientShown:
    """The person for a page; the number that was sought stands first when it is one of his.

    `may_see`: the reader has the permission to see the name of somebody with protected identity.
    """
    numbers = sorted(patient.identifiers, key=lambda each: _weight(each, sought))
    facts = patient.demographics
    masked = facts.protected and not may_see
    name = words("patient.protected_name") if masked else PersonName.of(facts.name).written()
    sex = words(f"patient.sex_{facts.sex}") if facts.sex in ("M", "F", "O") else words("patient.sex_unknown")
    shown = [number_shown(each, words) for each in numbers]
    return PatientShown(
        name=name or words("common.unknown"),
        number=shown[0],
        others=tuple(shown[1:]),
        sex=sex,
        born=day(facts.birth_date) if facts.birth_date else words("patient.born_unknown"),
        birth=words("patient.birth", day=day(facts.birth_date))
        if facts.birth_date
        else words("patient.born_unknown"),
        age=_age(facts, now, words),
        deceased=_deceased(facts, words),
        is_protected=facts.protected,
    )


def _age(facts: Demographics, now: datetime, words: Words) -> str:
    """Somebody who died on an unknown day has no age to tell."""
    if facts.deceased in ("", "N"):
        told = age(facts.birth_date, now.astimezone(STOCKHOLM).date(), words)
        return told or words("patient.age_unknown")
    try:
        died = date(int(facts.deceased[:4]), int(facts.deceased[4:6]), int(facts.deceased[6:8]))
    except ValueError:
        return words("patient.age_unknown")
    told = age(facts.birth_date, died, words)
    return words("patient.age_at_death", age=told) if told else words("patient.age_unknown")


def _deceased(facts: Demographics, words: Words) -> str:
    if facts.deceased in ("", "N"):
        return ""
    if facts.deceased == "Y":
        return words("patient.deceased_undated")
    return words("patient.deceased", day=day(facts.deceased))


def _weight(identifier: PatientIdentifier, sought: str) -> tuple[bool, int, str]:
    order = list(Kind)
    kind = kind_of(identifier)
    return identifier.value != sought, order.index(kind) if kind else len(order), identifier.value


def kinds(modalities: Iterable[str], languages: Languages, words: Words) -> tuple[str, ...]:
    """The kinds of an examination in words, each once; codes without a word as they are."""
    found: dict[str, None] = {}
    codes = list(modalities)
    telling = [code for code in codes if code not in _NO_PICTURES] or codes
    for code in telling:
        key = f"modality.{code}"
        found[words(key) if languages.has(key) else code] = None
    return tuple(found)


def parts_of_body(codes: Iterable[str], languages: Languages, words: Words) -> tuple[str, ...]:
    """Body parts (0018,0015) in words, each once; codes without a word as they are written, in small letters."""
    found: dict[str, None] = {}
    for code in codes:
        key = f"bodypart.{code}"
        found[words(key) if languages.has(key) else code.capitalize()] = None
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Change:
    """A piece of a text with what became of it: "same", "gone" or "new"."""

    kind: str
    text: str


def changes(before: str, after: str) -> tuple[Change, ...]:
    """What a correction changed, word by word (by lines in very long texts), in reading order."""
    pieces = re.compile(r"\s+|[^\s]+")
    old, new = pieces.findall(before), pieces.findall(after)
    if len(old) + len(new) > _DIFFERENCE_WORDS:
        old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    found: list[Change] = []
    gone, added = "", ""
    steps = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for place, (what, i1, i2, j1, j2) in enumerate(steps):
        before, after = "".join(old[i1:i2]), "".join(new[j1:j2])
        if what != "equal":
            gone, added = gone + before, added + after
        elif gone and added and before.isspace() and place + 1 < len(steps) and "\n" not in before:
            # A blank between two replaced words belongs to the replaced phrase: phrases are read, not words.
            gone, added = gone + before, added + after
        else:
            found += _replaced(gone, added)
            gone, added = "", ""
            found.append(Change("same", before))
    found += _replaced(gone, added)
    return tuple(found)


def _replaced(gone: str, added: str) -> list[Change]:
    return [Change(kind, text) for kind, text in (("gone", gone), ("new", added)) if text]
