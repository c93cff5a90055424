"""Broken messages on the whole way in: parsed, filed or held in a real store, answered; and read again after it.

`SAMSYN_FUZZ_HL7` sets how many (default 1,500), `SAMSYN_FUZZ_SECONDS` when to stop in any case (default never),
`SAMSYN_FUZZ_SEED` where they begin. Part of `make fuzz`.
"""

import asyncio
import os
import random
import time
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
from tests.fuzz.mutants import mutated
from tests.hl7v2.messages import oru
from tests.indexes import ON_POSTGRESQL
from tests.reports.house import House

COUNT = int(os.environ.get("SAMSYN_FUZZ_HL7", "1500"))
SECONDS = float(os.environ.get("SAMSYN_FUZZ_SECONDS", "inf"))
SEED = int(os.environ.get("SAMSYN_FUZZ_SEED", "2024"))
AT_ONCE = 48
"""Messages under way at the same time, as from many connections: they share syncs."""


def resident_mib() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


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


@pytest.mark.slow
@pytest.mark.hypothesis
async def test_broken_messages_are_answered_nothing_crashes_and_memory_stays_flat(tmp_path: Path) -> None:
    house = House(tmp_path / "data")
    rng = random.Random(SEED)
    codes: Counter[str] = Counter()
    began, baseline, number = time.monotonic(), 0.0, 0
    while number < COUNT and time.monotonic() - began < SECONDS:
        codes += await one_batch(house, rng, number, min(AT_ONCE, COUNT - number))
        number += AT_ONCE
        if not baseline and (number >= COUNT // 10 or time.monotonic() - began > SECONDS / 10):
            baseline = resident_mib()
    grown = resident_mib() - baseline
    shown = await read_everything(house)
    assert (await house.send(oru(control="the next good one"))).verdict.code == "AA"
    damaged = [] if ON_POSTGRESQL else await house.all("PRAGMA integrity_check")
    house.close()
    print(
        f"{codes.total():,} broken messages (seed {SEED}): {codes['AA']:,} AA, {codes['AE']:,} AE, {codes['AR']:,} AR,"
        f" 0 crashes, memory {grown:+.0f} MiB, {shown:,} examinations read again"
    )
    assert damaged == [("ok",)]
    assert codes.total() > 0
    assert codes["AA"] > 0.02 * codes.total()
    assert grown < 64
