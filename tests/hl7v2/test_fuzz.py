"""Mutated messages: understood or refused in our own words, never a crash, memory flat.

`SAMSYN_FUZZ_COUNT` sets how many (default 2,000), `SAMSYN_FUZZ_SECONDS` when to stop in any case (default never),
`SAMSYN_FUZZ_SEED` where they begin. Part of `make fuzz`.
"""

import os
import random
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from samsyn.errors import SamsynError
from samsyn.hl7v2.acknowledgement import ACCEPTED, answers, verdict_on
from samsyn.hl7v2.header import peek
from samsyn.hl7v2.interpret import read_message
from samsyn.reports.profiles import load_profile, shipped_profiles
from tests.fuzz.mutants import mutated
from tests.hl7v2.messages import SENDER

COUNT = int(os.environ.get("SAMSYN_FUZZ_COUNT", "2000"))
SECONDS = float(os.environ.get("SAMSYN_FUZZ_SECONDS", "inf"))
SEED = int(os.environ.get("SAMSYN_FUZZ_SEED", "2024"))
WHEN = datetime(2024, 3, 15, tzinfo=UTC)


def resident_mib() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


@pytest.mark.slow
@pytest.mark.hypothesis
def test_mutated_messages_are_understood_or_refused_and_memory_stays_flat() -> None:
    rng = random.Random(SEED)
    profiles = [load_profile(name) for name in shipped_profiles()]
    understood, done, baseline, began = 0, 0, 0.0, time.monotonic()
    while done < COUNT and (done % 1_000 or time.monotonic() - began < SECONDS):
        raw = mutated(rng)
        try:
            read_message(raw, rng.choice(profiles), SENDER)
            verdict = ACCEPTED
            understood += 1
        except SamsynError as refusal:
            verdict = verdict_on(refusal)
        for answer in answers(peek(raw), verdict, WHEN):
            assert answer.startswith(b"MSH|")
            assert b"\rMSA|" in answer
            assert not any(byte < 0x20 and byte != 0x0D for byte in answer), (SEED, done)
        done += 1
        if done == max(COUNT // 100, 500):
            baseline = resident_mib()
    grown = resident_mib() - baseline
    print(
        f"{done:,} mutated messages (seed {SEED}): {understood:,} understood, {done - understood:,} refused,"
        f" 0 crashes, memory {grown:+.0f} MiB"
    )
    assert 0.02 * done < understood < 0.9 * done, "the mutations are too weak or too strong"
    assert grown < 32
