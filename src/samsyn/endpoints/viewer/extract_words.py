"""The log extract in words, for a page and for a PDF."""

from dataclasses import dataclass

from samsyn.access.followup.elsewhere import ToldElsewhere
from samsyn.access.followup.extract import Extract, ExtractLine
from samsyn.clock import STOCKHOLM
from samsyn.endpoints.viewer.language import Words
from samsyn.endpoints.viewer.wording import moment, purpose_told
from samsyn.providers.connections import Connections


@dataclass(frozen=True, slots=True)
class LineShown:
    """One line of the extract as a patient reads it."""

    day: str
    time: str
    unit: str
    provider: str
    done: tuple[str, ...]
    purpose: str
    who: str
    is_emergency: bool
    is_patient: bool
    """A private person: the patient himself or a guardian; then unit and reader are one."""


def lines_in_words(extract: Extract, words: Words, names: Connections) -> list[LineShown]:
    """Every line with units' names and plain words."""
    return [_line(line, words, names) for line in extract.lines]


def _line(line: ExtractLine, words: Words, names: Connections) -> LineShown:
    begins, ends = (each.astimezone(STOCKHOLM).strftime("%H:%M") for each in (line.first, line.last))
    provider = names.provider_name(line.provider) if line.provider else ""
    unit = names.unit_name(line.provider, line.unit) if line.unit else provider or line.consumer
    if line.is_patient or line.is_guardian:
        who = words("extract.you" if line.is_patient else "extract.guardian")
        unit, provider = who, ""
    else:
        who = line.staff or words("extract.a_system" if line.is_system else "extract.staff")
    return LineShown(
        day=line.day.isoformat(),
        time=begins if begins == ends else f"{begins}–{ends}",
        unit=unit,
        provider="" if provider == unit else provider,
        done=tuple(words(f"extract.done_{code}") for code in line.done),
        purpose=purpose_told(line.purpose, words),
        who=who,
        is_emergency=line.is_emergency,
        is_patient=line.is_patient or line.is_guardian,
    )


@dataclass(frozen=True, slots=True)
class ElsewhereShown:
    """One access that the national log service tells, in words."""

    time: str
    where: str
    what: str
    purpose: str


def elsewhere_in_words(told: ToldElsewhere, words: Words, names: Connections) -> list[ElsewhereShown]:
    """Every access with units' names; the reader's where the provider names its staff."""
    return [
        ElsewhereShown(
            moment(each.at),
            ", ".join(
                dict.fromkeys(
                    part
                    for part in (
                        each.unit_name or names.unit_name(each.provider, each.unit),
                        each.provider_name or names.provider_name(each.provider),
                        each.user_name,
                    )
                    if part
                )
            ),
            each.resource,
            purpose_told(each.purpose, words),
        )
        for each in told.accesses
    ]
