"""Mutated messages: understood or refused in our own words, never a crash, memory flat.

`SAMSYN_FUZZ_HL7_PARSED` sets how many, `SAMSYN_FUZZ_SEED` where they begin. Part of `make fuzz`.
"""

import random
from datetime import UTC, datetime

import pytest

from samsyn.errors import SamsynError
from samsyn.hl7v2.acknowledgement import ACCEPTED, answers, verdict_on
from samsyn.hl7v2.header import peek
from samsyn.hl7v2.interpret import read_message
from samsyn.reports.profiles import load_profile, shipped_profiles
from tests.fuzz.amounts import MOST_GROWTH_BYTES, SEED, amount, resident_bytes
from tests.fuzz.messages import mutated
from tests.hl7v2.messages import SENDER

COUNT = amount("HL7_PARSED", 2_000, 200_000)
MIB = 1024 * 1024
WHEN = datetime(2024, 3, 15, tzinfo=UTC)


@pytest.mark.slow
@pytest.mark.hypothesis
def test_mutated_messages_are_understood_or_refused_and_memory_stays_flat() -> None:
    rng = random.Random(SEED)
    profiles = [load_profile(name) for name in shipped_profiles()]
    understood, done, baseline = 0, 0, 0
    while done < COUNT:
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
            baseline = resident_bytes()
    grown = resident_bytes() - baseline
    print(
        f"{done:,} mutated messages (seed {SEED}): {understood:,} understood, {done - understood:,} refused,"
        f" 0 crashes, memory {grown / MIB:+.0f} MiB"
    )
    assert 0.02 * done < understood < 0.9 * done, "the mutations are too weak or too strong"
    assert grown < MOST_GROWTH_BYTES
