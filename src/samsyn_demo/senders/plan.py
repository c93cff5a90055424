"""What a provider's systems send, in order: register news, referrals, then each examination's news and reports."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from samsyn_demo.history import RECENT_DAYS, Examination, Stage
from samsyn_demo.people import STORY, Person
from samsyn_demo.region import Hl7System, Provider, Unit
from samsyn_demo.senders.messages import Message, Writer


def texts(
    provider: Provider, examinations: Sequence[Examination], anchor: datetime
) -> tuple[list[Message], list[Message]]:
    """Every message of the provider: first those about the story patient, then everybody else's.

    `examinations` is the whole region's; nothing when the provider gives no texts.
    """
    if not provider.gives_texts:
        return [], []
    writers = {each.application: Writer(provider, each) for each in provider.hl7}

    def writer(unit: Unit) -> Writer:
        return writers[system_of(provider, unit).application]

    mine = [each for each in examinations if each.provider is provider]
    referred = [each for each in examinations if each.referrer_provider is provider]
    both: tuple[list[Message], list[Message]] = ([], [])
    for found, story in zip(both, (True, False), strict=True):
        own = [each for each in mine if (each.person is STORY) == story]
        out = [each for each in referred if (each.person is STORY) == story]
        found += _register(writers[provider.hl7[0].application], _known(own, out), anchor)
        for each in out:
            if each.provider.gives_texts:
                found.append(
                    writer(each.unit if each.provider is provider else each.referrer_unit).referral(each)
                )
        for each in own:
            found += _dialogue(writer(each.unit), each, anchor)
    return both


def system_of(provider: Provider, unit: Unit) -> Hl7System:
    """The unit's own system, else the provider's first."""
    return next((each for each in provider.hl7 if each.unit == unit.key), provider.hl7[0])


def _known(
    mine: Sequence[Examination], referred: Sequence[Examination]
) -> dict[str, tuple[Person, list[Examination]]]:
    """The provider's patients with what it knows of them, in the order of the history."""
    found: dict[str, tuple[Person, list[Examination]]] = {}
    for each in (*mine, *referred):
        found.setdefault(each.person.key, (each.person, []))[1].append(each)
    return found


def _register(
    writer: Writer, known: dict[str, tuple[Person, list[Examination]]], anchor: datetime
) -> Iterator[Message]:
    """A28 for everybody at the first visit, then what the population register told later."""
    for person, examinations in known.values():
        first = min(examinations, key=lambda each: each.ordered)
        last = max(examinations, key=lambda each: each.ordered)
        yield writer.register(
            "A28", person, first.ordered - timedelta(minutes=20), (first.number, first.issuer)
        )
        later = min(last.ordered + timedelta(days=30), anchor)
        if person.deceased or person.protected:
            yield writer.register("A08", person, later, (person.number, person.issuer))
        if first.number == person.earlier_number:
            yield writer.merge(person, min(first.ordered + timedelta(days=120), anchor))


def _dialogue(writer: Writer, examination: Examination, anchor: datetime) -> Iterator[Message]:
    """The RIS's news and the versions of the report; of old examinations only how they ended."""
    booked = examination.ordered + timedelta(minutes=15)
    recent = (anchor - examination.when).days < RECENT_DAYS
    if examination.stage is Stage.SCHEDULED or (examination.stage is Stage.PERFORMED and recent):
        yield writer.news(examination, "SC", "SC", booked)
    if examination.stage is Stage.CANCELLED:
        yield writer.news(examination, "OC", "CA", booked)
    if examination.stage is Stage.PERFORMED:
        if recent:
            yield writer.news(examination, "SC", "IP", examination.when)
        yield writer.news(examination, "SC", "CM", examination.when + timedelta(minutes=12))
    for version in examination.versions:
        yield writer.report(examination, version)
