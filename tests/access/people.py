"""Invented readers, registers and items for the access tests."""

from datetime import UTC, datetime, timedelta

from samsyn.access.consumers import consumer
from samsyn.access.facts import Choices, Facts, Policy, Release
from samsyn.model.predicate import Item
from samsyn.model.registers import Block, BlockKind, CareRelation, Consent, Ground, Lift
from samsyn.model.subject import Assignment, Purpose, Right, Scope, Subject, SubjectKind

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
PATIENT = 7
OWN, FOREIGN, THIRD = "SE9990000004-0001", "SE9990000001-0001", "SE9990000002-0001"
UNIT, OTHER_UNIT, FOREIGN_UNIT, THIRD_UNIT = (
    "SE9990000004-1001",
    "SE9990000004-1002",
    "SE9990000001-1001",
    "SE9990000002-1001",
)
ALL_CHOSEN = Choices(units_shown=True, units=frozenset("*"), providers_shown=True, providers=frozenset("*"))
RELEASES = tuple(Release(provider, 14) for provider in (OWN, FOREIGN, THIRD))
NO_CHOICES, DEFAULT_POLICY = Choices(), Policy(releases=RELEASES)
ME, COLLEAGUE = "SE9990000004-9001", "SE9990000004-9002"


def assignment(
    scope: Scope | None = Scope.CROSS_PROVIDER,
    purpose: Purpose = Purpose.CARE,
    ends: datetime | None = None,
) -> Assignment:
    rights = () if scope is None else (Right("Läsa", "alla", scope.value),)
    return Assignment(
        "SE9990000004-5001", "Läkare", purpose, OWN, "Linden", UNIT, "Linden mottagning", rights, ends
    )


def staff(
    scope: Scope | None = Scope.CROSS_PROVIDER,
    purpose: Purpose = Purpose.CARE,
    ends: datetime | None = None,
    employee: str = ME,
) -> Subject:
    return Subject(SubjectKind.STAFF, employee, "Eva Lindgren", assignment(scope, purpose, ends), "session-1")


SYSTEM = Subject(SubjectKind.SYSTEM, "SE9990000004-S001", "LINDENPACS", assignment(None), "association-1")
CONSUMER = consumer("Nationell patientöversikt", "SE5565594230-S001", serves_care=True)
HIMSELF = Subject(
    SubjectKind.PATIENT, "191212121212", "Tolvan Tolvansson", None, "session-2", frozenset(), PATIENT
)


def item(
    provider: str = FOREIGN,
    unit: str = FOREIGN_UNIT,
    begins: int | None = 20200301,
    ends: int | None = 20200301,
) -> Item:
    return Item(PATIENT, provider, unit, begins, ends)


def relation(employee: str = "", starts: datetime = NOW - HOUR, ends: datetime = NOW + HOUR) -> CareRelation:
    return CareRelation("relation", PATIENT, OWN, UNIT, employee, starts, ends, "attested")


def consent(
    ground: Ground = Ground.CONSENT,
    unit: str = UNIT,
    employee: str = "",
    starts: datetime = NOW - HOUR,
    ends: datetime | None = NOW + HOUR,
    ended: datetime | None = None,
) -> Consent:
    return Consent("consent", PATIENT, ground, OWN, unit, employee, starts, ends, "visit", ended)


def block(
    kind: BlockKind = BlockKind.OUTER,
    provider: str = FOREIGN,
    unit: str = "",
    first: int | None = None,
    last: int | None = None,
    ended: datetime | None = None,
) -> Block:
    return Block("block", PATIENT, kind, provider, unit, first, last, ended)


def lift(
    unit: str = UNIT,
    employee: str = "",
    starts: datetime = NOW - HOUR,
    ends: datetime = NOW + HOUR,
    reason: str = "consent",
) -> Lift:
    return Lift("lift", "block", PATIENT, unit, employee, starts, ends, reason)


def facts(
    subject: Subject | None = None,
    *,
    purpose: Purpose = Purpose.CARE,
    relations: tuple[CareRelation, ...] = (relation(),),
    consents: tuple[Consent, ...] = (),
    blocks: tuple[Block, ...] = (),
    lifts: tuple[Lift, ...] = (),
    choices: Choices = NO_CHOICES,
    policy: Policy = DEFAULT_POLICY,
    blocks_known: bool = True,
    now: datetime = NOW,
    born: str = "",
) -> Facts:
    return Facts(
        subject or staff(),
        purpose,
        frozenset({PATIENT}),
        now,
        relations,
        consents,
        blocks,
        lifts,
        choices,
        policy,
        blocks_known,
        frozenset({int(born)}) if born else frozenset(),
    )
