"""Mutated messages: understood or refused in our own words, never a crash, memory flat.

`SAMSYN_FUZZ_COUNT` sets how many (default 2,000), `SAMSYN_FUZZ_SEED` where they begin.
"""

import gc
import os
import random
import tracemalloc
from datetime import UTC, datetime

import pytest

from samsyn.errors import SamsynError
from samsyn.hl7v2.acknowledgement import ACCEPTED, answers, verdict_on
from samsyn.hl7v2.header import peek
from samsyn.hl7v2.interpret import read_message
from samsyn.reports.profiles import load_profile, shipped_profiles
from tests.fuzz.mutants import mutated
from tests.hl7v2.messages import SENDER

COUNT = int(os.environ.get("SAMSYN_FUZZ_COUNT", "2000"))
SEED = int(os.environ.get("SAMSYN_FUZZ_SEED", "2024"))
WHEN = datetime(2024, 3, 15, tzinfo=UTC)


@pytest.mark.slow
def test_mutated_messages_are_understood_or_refused_and_memory_stays_flat() -> None:
    rng = random.Random(SEED)
    profiles = {name: load_profile(name) for name in shipped_profiles()}
    understood = 0
    tracemalloc.start()
    baseline = 0
    for number in range(COUNT):
        raw = mutated(rng)
        try:
            read_message(raw, profiles[rng.choice(sorted(profiles))], SENDER)
            verdict = ACCEPTED
            understood += 1
        except SamsynError as refusal:
            verdict = verdict_on(refusal)
        for answer in answers(peek(raw), verdict, WHEN):
            assert answer.startswith(b"MSH|")
            assert b"\rMSA|" in answer
            assert not any(byte < 0x20 and byte != 0x0D for byte in answer), (SEED, number)
        if number == COUNT // 10:
            gc.collect()
            baseline = tracemalloc.get_traced_memory()[0]
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - baseline
    tracemalloc.stop()
    assert 0.02 * COUNT < understood < 0.9 * COUNT, "the mutations are too weak or too strong"
    assert grown < 2 * 1024 * 1024
