"""Ten years of examinations of every person: who asked, who examined, what was written, what was photographed.

Everything counts back from the anchor date, the day on which the demo is set up. Owners follow the law's view: a
referral is owned by the unit that wrote it, images and report by the unit that did the examination.

The story patient 19121212-1212 is told by hand (`_story`). The general practitioner at Linden finds at once the
answers of Linden's own ultrasound examinations and Linden's referrals; after registering consent also Klara
Röntgen's chest picture and Nordsjukhuset's CT with its final report and addendum, the echocardiography, the ECG,
the MR and the older CT to compare with. Everybody else's history is drawn from `catalogue` by chance that is the
same every time.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum

import numpy as np

from samsyn_demo.catalogue import KINDS, Kind
from samsyn_demo.people import BY_KEY as PEOPLE_BY_KEY
from samsyn_demo.people import PEOPLE, STORY, Person
from samsyn_demo.region import BY_KEY as PROVIDERS
from samsyn_demo.region import Professional, Provider, Unit
from samsyn_demo.seed import pick, stream
from samsyn_demo.texts import prose
from samsyn_demo.texts.cases import Case

RECENT_DAYS = 45
"""Examinations younger than this are sent with the whole dialogue of their RIS, older ones as history."""


class Stage(StrEnum):
    """How far an examination has come."""

    ORDERED = "ordered"
    SCHEDULED = "scheduled"
    CANCELLED = "cancelled"
    PERFORMED = "performed"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a report: HL7 status P, F, A, C or X."""

    status: str
    when: datetime
    author: Professional
    signer: Professional | None
    text: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Examination:
    """One referral and what became of it. Times are Swedish local time without zone."""

    key: str
    person: Person
    number: str
    """The patient number that was in use then."""
    issuer: str
    provider: Provider
    unit: Unit
    referrer_provider: Provider
    referrer_unit: Unit
    referrer: Professional
    kind: Kind
    case: Case
    side: str
    """"", "höger" or "vänster"."""
    ordered: datetime
    when: datetime
    priority: str
    """HL7: S (akut), A (förtur) or R (planerad)."""
    accession: str
    placer: str
    stage: Stage = Stage.PERFORMED
    versions: tuple[Version, ...] = ()
    images: bool = True
    paper: bool = False
    """The referral came on paper and is scanned into the study."""
    slices: int = 0
    """Slices of a CT, when the story needs another number than usual."""

    @property
    def title(self) -> str:
        """The examining provider's own name of it, with side."""
        name = self.kind.codes[self.provider.key][1]
        return f"{name} {self.side}".strip()

    @property
    def code(self) -> str:
        """The examining provider's own code."""
        return self.kind.codes[self.provider.key][0]

    @property
    def radiographer(self) -> str:
        """Who ran the machine."""
        return pick(("Nilsson^Kajsa", "Öhman^Petter", "Ali^Samira", "Wik^Jonna"), self.key)


_TOLD = frozenset((STORY.key, "reserv", "byter", "skyddad", "avliden", "samordning", "ytterberg", "lind"))
"""People whose whole history is written by hand."""


def history(anchor: date) -> tuple[Examination, ...]:
    """Everybody's examinations up to `anchor`: the story patient first, then the newest first."""
    book = _Book(anchor)
    _story(book)
    _specials(book)
    for person in PEOPLE:
        if person.key not in _TOLD:
            _ordinary(book, person)
    found = _with_pictures(book.examinations)
    return tuple(
        sorted(
            found, key=lambda each: (each.person is not STORY, -each.when.toordinal(), each.when, each.key)
        )
    )


@dataclass
class _Book:
    """What has been written down so far."""

    anchor: date
    examinations: list[Examination] = field(default_factory=list)
    numbers: Counter[str] = field(default_factory=Counter)

    def add(
        self,
        person: Person,
        kind: str,
        case: str,
        days_ago: float,
        place: tuple[str, str],
        referrer: tuple[str, str],
        *,
        side: str = "",
        priority: str = "R",
        stage: Stage = Stage.PERFORMED,
        shape: str = "F",
        paper: bool = False,
        slices: int = 0,
        number: tuple[str, str] | None = None,
        lead_days: float | None = None,
    ) -> Examination:
        """Writes an examination down. `shape`: the versions of its report, such as "PFA"; "" = none."""
        order = len(self.examinations)
        key = f"{self.anchor:%Y%m%d}/{person.key}/{sum(1 for e in self.examinations if e.person is person)}"
        chance = stream("examination", key)
        provider, referring = PROVIDERS[place[0]], PROVIDERS[referrer[0]]
        when = self._moment(days_ago, priority, chance)
        if lead_days is None:
            lead_days = {"S": 0.07, "A": 4.0, "R": 16.0}[priority] * float(chance.uniform(0.6, 1.5))
        ordered = when - timedelta(days=lead_days)
        if priority != "S":
            ordered = ordered.replace(hour=int(chance.integers(8, 16)), minute=int(chance.integers(60)))
        while priority != "S" and ordered.weekday() > 4:
            ordered -= timedelta(days=1)
        ordered = min(ordered, when - timedelta(minutes=35)).replace(microsecond=0)
        what = KINDS[kind]
        chosen = next(each for each in what.cases if each.name == case)
        numbers = number or (person.number, person.issuer)
        unit = provider.unit(place[1])
        examination = Examination(
            key=key,
            person=person,
            number=numbers[0],
            issuer=numbers[1],
            provider=provider,
            unit=unit,
            referrer_provider=referring,
            referrer_unit=referring.unit(referrer[1]),
            referrer=_referrer(referring, referrer[1], key),
            kind=what,
            case=chosen,
            side=side,
            ordered=ordered,
            when=when,
            priority=priority,
            accession=self._accession(provider, unit, when),
            placer=f"{referring.key[:3].upper()}{self.anchor:%y%m%d}-{ordered:%y%m%d}-{order:04d}",
            stage=stage,
            images=stage is Stage.PERFORMED and what.quota > 0,
            paper=paper,
            slices=slices,
        )
        if stage is Stage.PERFORMED and shape:
            examination = replace(examination, versions=self._versions(examination, shape, chance))
        self.examinations.append(examination)
        return examination

    def _moment(self, days_ago: float, priority: str, chance: np.random.Generator) -> datetime:
        day = self.anchor - timedelta(days=int(days_ago))
        if priority == "S":
            clock = time(int(chance.integers(0, 24)), int(chance.integers(60)), int(chance.integers(60)))
        else:
            while day.weekday() > 4:
                day += timedelta(days=1 if days_ago < 0 else -1)
            clock = time(int(chance.integers(8, 17)), int(chance.integers(60)), int(chance.integers(60)))
        if day == self.anchor and days_ago >= 0:
            clock = time(0, int(chance.integers(5, 55)))
        return datetime.combine(day, clock)

    def _accession(self, provider: Provider, unit: Unit, when: datetime) -> str:
        series = f"{provider.key}-{unit.key}-{when:%y}"
        self.numbers[series] += 1
        serial = self.numbers[series] * 7 + self.anchor.toordinal() % 7
        forms = {
            "rontgen": f"N{when:%y}{self.anchor:%m%d}{serial:05d}",
            "fysiologi": f"F{when:%y}{self.anchor:%m%d}{serial:04d}",
            "city": f"KR{when:%Y}{self.anchor:%m%d}{serial:05d}",
            "brost": f"SOL{when:%y}{self.anchor:%m%d}{serial:04d}",
            "linden": f"L{when:%y}{self.anchor:%m%d}{serial:04d}",
        }
        return forms[unit.key]

    def _versions(
        self, examination: Examination, shape: str, chance: np.random.Generator
    ) -> tuple[Version, ...]:
        """The report's life: dictated, signed, added to, corrected or taken back."""
        earlier = self._earlier(examination)
        staff = _reporters(examination.provider, examination.unit.key)
        signer, author = pick(staff, examination.key, "signer"), staff[-1]
        moment = examination.when + timedelta(minutes=int(chance.integers(25, 90)))
        found: list[Version] = []
        for status in shape:
            if found:
                hours = {"F": 14.0, "A": 52.0, "C": 30.0, "X": 20.0}[status] * float(chance.uniform(0.7, 1.3))
                moment += timedelta(hours=hours)
            if examination.priority != "S":
                moment = _office_hours(moment)
            limit = datetime.combine(self.anchor, time(0, 58))
            moment = min(moment, limit - timedelta(minutes=len(shape) - len(found))).replace(microsecond=0)
            found.append(_version(examination, status, moment, author, signer, earlier))
        return tuple(found)

    def _earlier(self, examination: Examination) -> str:
        """How a radiologist names the latest earlier examination of the same body part."""
        before = [
            each
            for each in self.examinations
            if each.person is examination.person
            and each.kind.body_part == examination.kind.body_part
            and each.when < examination.when
            and each.stage is Stage.PERFORMED
        ]
        if not before:
            return ""
        latest = max(before, key=lambda each: each.when)
        name = f"{latest.title} {latest.when:%Y-%m-%d}"
        return name if latest.provider is examination.provider else f"{name} ({latest.provider.name})"


def _office_hours(moment: datetime) -> datetime:
    """The same moment when people are at work, else the next morning."""
    if moment.hour >= 18:
        moment = (moment + timedelta(days=1)).replace(hour=8)
    elif moment.hour < 7:
        moment = moment.replace(hour=8)
    while moment.weekday() > 4:
        moment += timedelta(days=1)
    return moment


def _version(
    examination: Examination,
    status: str,
    when: datetime,
    author: Professional,
    signer: Professional,
    earlier: str,
) -> Version:
    case, side = examination.case, examination.side
    if status == "P":
        return Version("P", when, author, None, prose.preliminary(case))
    if status == "A":
        return Version("A", when, signer, signer, prose.addendum(case))
    if status == "C":
        text = prose.corrected(case, earlier, side)
        return Version("C", when, signer, signer, text, "Fel sida angiven i tidigare svar")
    if status == "X":
        return Version("X", when, signer, signer, "", "Svaret är skrivet på fel patient")
    if status == "W":
        wrong = "höger" if side == "vänster" else "vänster"
        return Version("F", when, signer, signer, prose.final(case, earlier, wrong))
    return Version("F", when, signer, signer, prose.final(case, earlier, side))


def _referrer(provider: Provider, unit: str, key: str) -> Professional:
    by_unit = {"akuten": (5,), "medicin": (4,), "kirurgi": (6,), "linden": (0, 0, 1), "brost": (0,)}
    return provider.staff[pick(by_unit.get(unit, (0,)), "referrer", key)]


def _reporters(provider: Provider, unit: str) -> tuple[Professional, ...]:
    """Those who report there; the last one is the resident who writes preliminary answers."""
    if unit == "fysiologi":
        return (provider.staff[3],)
    return provider.staff[:3] if provider.key == "nord" else provider.staff


def _story(book: _Book) -> None:
    """Tolvan Tolvansson, 19121212-1212."""
    gp, nord, klara = ("linden", "linden"), ("nord", "rontgen"), ("klara", "city")
    add = book.add
    add(STORY, "knee", "arthrosis", 3400, klara, gp, side="höger")
    add(STORY, "chest", "normal", 2560, nord, ("nord", "akuten"), priority="S", shape="PF")
    add(STORY, "ct-head", "aged", 1830, nord, ("nord", "akuten"), priority="S", shape="PF")
    add(STORY, "point-of-care", "bladder", 1460, gp, gp, lead_days=0.1)
    add(STORY, "echo", "normal", 1105, ("nord", "fysiologi"), ("nord", "medicin"))
    add(STORY, "ct-chest", "normal", 900, nord, ("nord", "medicin"), slices=56)
    add(STORY, "us-aorta", "aorta", 720, klara, gp, paper=True)
    add(STORY, "mr-brain", "aged", 410, nord, ("nord", "medicin"), shape="F")
    add(STORY, "point-of-care", "pleura", 33, gp, gp, priority="A", lead_days=0.05)
    add(STORY, "chest", "nodule", 31, klara, gp, priority="A", shape="FA", lead_days=1.6)
    add(STORY, "ct-chest", "tumour", 24, nord, gp, priority="A", shape="PFA", slices=80, lead_days=5)
    add(STORY, "ecg", "fibrillation", 17, ("nord", "fysiologi"), ("nord", "medicin"), priority="A")
    add(
        STORY,
        "ct-abdomen",
        "normal",
        -6,
        nord,
        ("nord", "medicin"),
        priority="A",
        stage=Stage.SCHEDULED,
        lead_days=9,
    )


def _specials(book: _Book) -> None:
    """One person for each case that identity and life bring along."""
    nord, emergency = ("nord", "rontgen"), ("nord", "akuten")
    add = book.add
    stranger = PEOPLE_BY_KEY["reserv"]
    add(stranger, "ct-head", "normal", 3, nord, emergency, priority="S", shape="P")
    add(stranger, "chest", "normal", 3, nord, emergency, priority="S", shape="PF")
    changing = PEOPLE_BY_KEY["byter"]
    old = (changing.earlier_number, changing.earlier_issuer)
    add(changing, "chest", "pneumonia", 700, nord, emergency, priority="S", shape="PF", number=old)
    add(changing, "us-abdomen", "normal", 655, ("klara", "city"), ("linden", "linden"), number=old)
    add(changing, "ct-abdomen", "normal", 60, nord, ("nord", "kirurgi"))
    add(changing, "chest", "normal", 40, ("klara", "city"), ("linden", "linden"))
    shielded = PEOPLE_BY_KEY["skyddad"]
    add(shielded, "knee", "normal", 520, ("klara", "city"), ("linden", "linden"), side="vänster")
    add(shielded, "mr-brain", "ms", 90, nord, ("nord", "medicin"))
    dead = PEOPLE_BY_KEY["avliden"]
    add(dead, "chest", "failure", 1500, nord, ("nord", "medicin"), priority="A")
    add(dead, "echo", "reduced", 1380, ("nord", "fysiologi"), ("nord", "medicin"))
    add(dead, "chest", "effusion", 1100, nord, ("nord", "medicin"))
    add(dead, "ct-abdomen", "metastases", 820, nord, ("nord", "kirurgi"), shape="FA")
    foreign = PEOPLE_BY_KEY["samordning"]
    add(foreign, "chest", "normal", 480, nord, emergency, priority="S")
    add(foreign, "ct-chest", "embolism", 210, nord, emergency, priority="S", shape="PF")
    child = PEOPLE_BY_KEY["ytterberg"]
    add(child, "chest", "pneumonia", 1180, nord, emergency, priority="S", shape="PF")
    add(child, "us-abdomen", "normal", 400, ("klara", "city"), ("linden", "linden"))
    add(child, "knee", "normal", 12, nord, emergency, side="höger", priority="S", shape="P")
    _with_real_pictures(book)
    mixed = PEOPLE_BY_KEY["lind"]
    add(mixed, "knee", "arthrosis", 300, ("klara", "city"), ("linden", "linden"), side="höger", shape="WC")
    add(mixed, "us-abdomen", "gallstone", 140, ("klara", "city"), ("linden", "linden"), shape="FX")
    add(mixed, "us-abdomen", "normal", 138, ("klara", "city"), ("linden", "linden"))
    add(mixed, "chest", "normal", 60, nord, ("nord", "kirurgi"), stage=Stage.CANCELLED)


def _with_real_pictures(book: _Book) -> None:
    """Examinations whose pictures are public sample images; the rest of these people's history is chance."""
    nord, klara, gp = ("nord", "rontgen"), ("klara", "city"), ("linden", "linden")
    add, people = book.add, PEOPLE_BY_KEY
    add(people["avliden"], "real-chest", "real", 790, klara, gp, priority="A")
    add(people["ytterberg"], "real-leg", "real", 640, nord, ("nord", "akuten"), side="höger", priority="S")
    add(people["forsen"], "real-shoulder", "real", 350, klara, gp)
    add(people["bergstrom"], "real-liver", "real", 190, nord, ("nord", "kirurgi"), shape="FA")
    add(people["hoglund"], "real-spine", "real", 520, nord, ("nord", "akuten"), priority="S", shape="PF")
    add(people["engstrom"], "real-perfusion", "real", 75, nord, ("nord", "akuten"), priority="S", shape="PF")
    add(people["dahl"], "real-echo", "normal", 260, ("nord", "fysiologi"), ("nord", "medicin"))


_CHOICES = (
    # kind, weight, youngest, oldest, sex
    ("chest", 9, 0, 120, ""), ("ct-chest", 2, 40, 120, ""), ("ct-abdomen", 2, 25, 120, ""),
    ("ct-head", 2, 18, 120, ""), ("mr-brain", 2, 18, 90, ""), ("knee", 4, 8, 95, ""),
    ("us-abdomen", 4, 5, 110, ""), ("us-aorta", 2, 60, 100, ""), ("mammography", 5, 40, 74, "F"),
    ("echo", 2, 45, 110, ""), ("ecg", 3, 30, 110, ""), ("point-of-care", 2, 18, 110, ""),
)  # fmt: skip


def _ordinary(book: _Book, person: Person) -> None:
    """One to twelve examinations, more for the old, drawn from what people of that age have done."""
    chance = stream("history", person.key)
    age = (book.anchor - _born(person)).days / 365.25
    count = int(np.clip(round(chance.gamma(2.2, 1.0) * (0.7 + age / 55)), 1, 12))
    days = sorted((float(day) for day in chance.uniform(2, 3640, count)), reverse=True)
    for number, ago in enumerate(days):
        then = age - ago / 365.25
        if then < 0.2:
            continue
        kind = KINDS[_kind(person, then, chance)]
        _one(book, person, kind, ago, f"{person.key}/{number}", chance)


def _one(book: _Book, person: Person, kind: Kind, ago: float, name: str, chance: np.random.Generator) -> None:
    case = pick([each for each in kind.cases for _ in range(each.weight)], "case", name)
    place = pick([(unit[0], unit[1]) for unit in kind.units for _ in range(unit[2])], "place", name)
    urgent = place[0] == "nord" and kind.key in ("chest", "ct-head", "ct-chest") and chance.uniform() < 0.4
    if kind.key in ("mammography", "point-of-care"):
        referrer = place
    elif urgent:
        referrer = ("nord", "akuten")
    elif place[0] == "nord" and chance.uniform() < 0.6:
        referrer = pick((("nord", "medicin"), ("nord", "kirurgi")), "referrer", name)
    else:
        referrer = ("linden", "linden")
    shape = "PF" if urgent else "F"
    if place[0] == "solsidan":
        shape = ""
    elif ago < 6:
        shape = "P"
    elif case.follow_up or (ago < 3000 and chance.uniform() < 0.05 and kind.key != "point-of-care"):
        shape += "A"
    priority = "S" if urgent else pick(("R", "R", "A"), "priority", name)
    side = pick(("höger", "vänster"), "side", name) if kind.sided else ""
    stage = Stage.PERFORMED
    if ago < 25 and priority == "R" and place[0] in ("nord", "klara") and chance.uniform() < 0.6:
        stage, ago = Stage.SCHEDULED, -ago
    book.add(
        person, kind.key, case.name, ago, place, referrer, side=side, priority=priority, shape=shape, stage=stage,
        paper=bool(chance.uniform() < 0.04), lead_days=0.1 if kind.key == "point-of-care" else None,
    )  # fmt: skip


def _kind(person: Person, age: float, chance: np.random.Generator) -> str:
    possible = [
        (kind, weight)
        for kind, weight, youngest, oldest, sex in _CHOICES
        if youngest <= age <= oldest and sex in ("", person.sex)
    ]
    weights = np.array([weight for _, weight in possible], float)
    return possible[int(chance.choice(len(possible), p=weights / weights.sum()))][0]


def _born(person: Person) -> date:
    text = person.birth_date
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def _with_pictures(examinations: list[Examination]) -> list[Examination]:
    """The newest examinations of each kind keep their pictures, up to the kind's quota; the story's keep theirs."""
    left = {kind.key: kind.quota for kind in KINDS.values()}
    found = []
    for each in sorted(examinations, key=lambda e: (e.person is not STORY, -e.when.toordinal(), e.key)):
        kept = each.images and left[each.kind.key] > 0
        left[each.kind.key] -= kept
        found.append(each if each.images == kept else replace(each, images=False))
    return found
