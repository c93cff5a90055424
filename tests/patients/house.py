"""Random histories of numbers that are linked and parted, and an oracle that keeps the truth beside the store."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from samsyn.errors import Conflict
from samsyn.ingest.receive import Arrival
from samsyn.model.patient import Demographics, DemographicsOrigin, PatientIdentifier
from samsyn.model.predicate import Everything
from samsyn.patients import links, registry
from samsyn.reports import referrals
from samsyn.store.index import examination_rows, patient_rows
from samsyn.store.transaction import Transaction
from tests.hl7v2.messages import message, msh, obr, obx, pid, segment
from tests.ingest.test_receive import data_set
from tests.reports.house import EHR, RIS, House

START = datetime(2024, 3, 1, tzinfo=UTC)
ISSUER = RIS.default_issuer


@dataclass
class Oracle:
    """Who is one person with whom, by the plainest means: a set of pairs, walked again at every question."""

    merges: set[tuple[int, int]] = field(default_factory=set)
    """(subsumed, survivor)."""
    peers: set[frozenset[int]] = field(default_factory=set)

    def above(self, person: int) -> set[int]:
        found = {person}
        while more := {upper for lower, upper in self.merges if lower in found} - found:
            found |= more
        return found

    def together(self, person: int) -> frozenset[int]:
        pairs = [set(pair) for pair in (*self.merges, *self.peers)]
        found = {person}
        while more := {each for pair in pairs if pair & found for each in pair} - found:
            found |= more
        return frozenset(found)

    def merge(self, survivor: int, subsumed: int) -> bool:
        """False: it must be refused."""
        if subsumed in self.above(survivor):
            return False
        if survivor in self.above(subsumed):
            return True
        if any(lower == subsumed for lower, _ in self.merges):
            return False
        self.peers.discard(frozenset((survivor, subsumed)))
        self.merges.add((subsumed, survivor))
        return True

    def link(self, one: int, other: int) -> bool:
        pair = frozenset((one, other))
        if (one, other) not in self.merges and (other, one) not in self.merges:
            self.peers.add(pair)
        return True

    def part(self, one: int, other: int) -> bool:
        pair = frozenset((one, other))
        direct = {(one, other), (other, one)} & self.merges
        if direct or pair in self.peers:
            self.merges -= direct
            self.peers.discard(pair)
            return True
        return other not in self.together(one)


class Life:
    """One history: six numbers, what is sent for each, and what is said about them."""

    def __init__(self, house: House, number: int) -> None:
        self.house = house
        self.number = number
        self.rng = random.Random(number)
        self.names = [f"H{number}N{each}" for each in range(6)]
        self.keys: list[int] = []
        self.sent: dict[int, set[str]] = {each: set() for each in range(6)}
        self.oracle = Oracle()
        self.clock = START
        self.steps = 0
        self.misplaced = 0
        self.mixed: dict[str, tuple[int, int]] = {}
        """Objects in a study that was opened for another number of the same person: (sent for, study's)."""

    async def begin(self) -> None:
        def decide(transaction: Transaction) -> list[int]:
            return [
                registry.find_or_make(
                    transaction,
                    PatientIdentifier(ISSUER, name),
                    Demographics(f"Person^{name}"),
                    DemographicsOrigin.ADT,
                )
                for name in self.names
            ]

        self.keys = (await self.house.store.commit(decide)).value

    async def live(self, steps: int) -> None:
        """So many random events; afterwards everything must be where it belongs."""
        for _ in range(steps):
            self.steps += 1
            self.clock += timedelta(minutes=1)
            what = self.rng.choice(
                ("merge", "merge", "link", "part", "part", "image", "referral", "report", "mixed")
            )
            if what == "mixed":
                await self.mix()
            elif what in ("merge", "link", "part"):
                await self.say(what)
            else:
                await self.send(what)
        await self.look()

    async def say(self, what: str) -> None:
        one, other = self.rng.sample(range(6), 2)
        expected = getattr(self.oracle, what)(one, other)
        word = links.Word(self.clock.isoformat(), "test")
        first, second = self.keys[one], self.keys[other]

        def decide(transaction: Transaction) -> None:
            act = {"merge": links.merge, "link": links.link, "part": links.unlink}[what]
            act(transaction, first, second, word)
            referrals.refold(transaction, first)
            referrals.refold(transaction, second)

        try:
            await self.house.store.commit(decide)
            self.mixed = {
                uid: (person, owner)
                for uid, (person, owner) in self.mixed.items()
                if owner in self.oracle.together(person)
            }
            refused = False
        except Conflict:
            refused = True
        assert refused is not expected, (self.number, self.steps, what, one, other)

    async def send(self, what: str) -> None:
        """Something arrives for one of the numbers, whatever is linked just then."""
        person = self.rng.randrange(6)
        name, thing = self.names[person], f"{self.number}X{self.steps}"
        if what == "image":
            uid = f"2.25.{1_000 + self.number}{self.steps:03d}"
            assert await self.house.image(name, f"I{thing}", uid) == "stored"
            self.sent[person].add(f"study {uid}")
            return
        claim = pid(f"{name}^^^&{ISSUER}&ISO", f"Person^{name}")
        time = self.clock.strftime("%Y%m%d%H%M%S")
        if what == "referral":
            orc = segment("ORC", {1: "NW", 2: f"R{thing}", 9: time})
            raw = message(msh("ORM^O01", f"o{thing}", sent=time), claim, orc, segment("OBR", {4: "C^DT^L"}))
            self.sent[person].add(f"referral R{thing}")
        else:
            numbers = {2: f"P{thing}", 3: f"F{thing}", 18: f"A{thing}", 22: time}
            raw = message(msh("ORU^R01", f"r{thing}", sent=time), claim, obr(numbers), obx(f"text {thing}"))
            self.sent[person].add(f"report text {thing}")
        filed = await self.house.send(raw, EHR if what == "referral" else RIS)
        assert filed.verdict.code == "AA", filed

    async def mix(self) -> None:
        """One more image of a study arrives under another number that is the same person just then."""
        studies = [
            (person, thing) for person in range(6) for thing in sorted(self.sent[person]) if thing[:2] == "st"
        ]
        if not studies:
            return
        owner, thing = self.rng.choice(studies)
        person = self.rng.choice(sorted(self.oracle.together(owner)))
        uid = thing.removeprefix("study ")
        sop_uid = f"{uid}.7.{self.steps}"
        data = data_set(
            PatientID=self.names[person],
            PatientName=None,
            PatientBirthDate=None,
            StudyInstanceUID=uid,
            SeriesInstanceUID=f"{uid}.7",
            SOPInstanceUID=sop_uid,
        )
        receipt, _ = await self.house.intake.receive(Arrival(RIS, "1.2.840.10008.1.2.1", "a"), data)
        assert receipt.outcome == "stored"
        self.mixed[sop_uid] = (person, owner)

    async def look(self) -> None:
        """Counts what is shown with a person it was not sent for, or missing with the one it was."""
        for person, key in enumerate(self.keys):
            together = self.oracle.together(person)
            expected = set().union(*(self.sent[each] for each in together))
            linked, seen = await self.house.store.read(lambda connection, key=key: _seen(connection, key))
            self.misplaced += len(seen ^ expected)
            self.misplaced += len(linked ^ {self.keys[each] for each in together})
            own = await self.house.store.read(lambda connection, key=key: _filed(connection, key))
            self.misplaced += len(own ^ self.sent[person])
        rows = await self.house.all(
            "SELECT sop_uid FROM instance WHERE sop_uid LIKE ?", f"2.25.{1_000 + self.number}___.7.%"
        )
        self.misplaced += len({row[0] for row in rows} ^ set(self.mixed))


def _seen(connection: Any, key: int) -> tuple[set[int], set[str]]:
    keys = patient_rows.closure_of(connection, key)
    root = patient_rows.root(connection, key)
    assert {patient_rows.root(connection, each) for each in keys} == {root}
    return set(keys), _things(connection, keys)


def _filed(connection: Any, key: int) -> set[str]:
    return _things(connection, frozenset({key}))


def _things(connection: Any, keys: frozenset[int]) -> set[str]:
    everything = Everything()
    found = {f"study {row['study_uid']}" for row in examination_rows.studies(connection, everything, keys)}
    found |= {
        f"referral {row['placer_id']}" for row in examination_rows.referrals(connection, everything, keys)
    }
    return found | {f"report {row['text']}" for row in examination_rows.reports(connection, everything, keys)}
