"""Broken messages on the whole way in: parsed, filed or held in a real store, answered; and read again after it.

`SAMSYN_FUZZ_HL7_FILED` sets how many, `SAMSYN_FUZZ_SEED` where they begin. Part of `make fuzz`.
"""

import asyncio
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from samsyn.errors import SamsynError
from samsyn.hl7v2.acknowledgement import answers, verdict_on
from samsyn.hl7v2.header import peek
from samsyn.model.predicate import Everything
from samsyn.reports.examination import _joined
from samsyn.reports.order import by_report
from samsyn.reports.profiles import shipped_profiles
from samsyn.store.index import examination_rows
from tests.fuzz.amounts import MOST_GROWTH_BYTES, SEED, amount, resident_bytes
from tests.fuzz.messages import mutated
from tests.hl7v2.messages import oru
from tests.reports.house import House

COUNT = amount("HL7_FILED", 1_500, 1_000_000)
MIB = 1024 * 1024
A_STORE = 4_000
"""Messages in one store: all tell of the same few persons and orders, whose histories are no longer in truth."""
AT_ONCE = 48
"""Messages under way at the same time, as from many connections: they share syncs."""


async def told(house: House, raw: bytes, profile: str) -> str:
    """The code of the answer; anything else than an answer in our own words is a crash."""
    header = peek(raw)
    try:
        filed = await house.send(raw, profile=profile)
        verdict, when = filed.verdict, filed.when
    except SamsynError as refusal:
        verdict, when = verdict_on(refusal), house.clock.now()
    for answer in answers(header, verdict, when):
        assert answer.startswith(b"MSH|")
        assert not any(byte < 0x20 and byte != 0x0D for byte in answer)
    return verdict.code.value


async def one_batch(house: House, rng: random.Random, first: int, size: int) -> Counter[str]:
    messages = []
    for number in range(first, first + size):
        raw = mutated(rng)
        # Most keep a control id of their own, so that they are not taken for repetitions.
        raw = raw.replace(b"|M1|", b"|M%d|" % number, 1).replace(b"|B1|", b"|B%d|" % number, 1)
        raw = raw.replace(b"ACC300", b"ACC%d" % (number % 997))
        messages.append((raw, rng.choice(shipped_profiles())))
    return Counter(await asyncio.gather(*(told(house, raw, profile) for raw, profile in messages)))


async def read_everything(house: House) -> int:
    """Every person's examinations, arranged as the pages show them; how many there are."""

    def look(connection: Any) -> int:
        keys = [row[0] for row in connection.execute("SELECT patient_key FROM patient").fetchall()]
        count = 0
        for start in range(0, len(keys), 500):
            part = frozenset(keys[start : start + 500])
            kinds = (examination_rows.studies, examination_rows.referrals, examination_rows.reports)
            for examination in _joined(*(read(connection, Everything(), part) for read in kinds)):
                by_report(examination.reports)
                count += 1
        return count

    return await house.store.read(look)


async def fill(folder: Path, rng: random.Random, first: int, count: int) -> tuple[Counter[str], int]:
    """Files so many in a store of their own, which must be whole after it; the answers' codes, and how many
    examinations they made."""
    house = House(folder)
    codes: Counter[str] = Counter()
    for number in range(first, first + count, AT_ONCE):
        codes += await one_batch(house, rng, number, min(AT_ONCE, first + count - number))
    shown = await read_everything(house)
    assert (await house.send(oru(control="the next good one"))).verdict.code == "AA"
    assert await house.all("PRAGMA integrity_check") == [("ok",)]
    house.close()
    return codes, shown


@pytest.mark.slow
@pytest.mark.hypothesis
async def test_broken_messages_are_answered_nothing_crashes_and_memory_stays_flat(tmp_path: Path) -> None:
    rng, number, baseline, shown = random.Random(SEED), 0, 0, 0
    codes: Counter[str] = Counter()
    while number < COUNT:
        count = min(A_STORE, COUNT - number)
        some, examinations = await fill(tmp_path / "data", rng, number, count)
        codes, shown, number = codes + some, shown + examinations, number + count
        shutil.rmtree(tmp_path / "data")
        baseline = baseline or resident_bytes()
    grown = resident_bytes() - baseline
    print(
        f"{codes.total():,} broken messages filed (seed {SEED}): {codes['AA']:,} AA, {codes['AE']:,} AE,"
        f" {codes['AR']:,} AR, 0 crashes, memory {grown / MIB:+.0f} MiB, {shown:,} examinations read again"
    )
    assert codes.total() == COUNT
    assert codes["AA"] > 0.02 * codes.total()
    assert grown < MOST_GROWTH_BYTES
