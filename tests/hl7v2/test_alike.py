"""The short way of reading reports gives what the long way gives, whatever came before and whatever is different."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from samsyn.clock import STOCKHOLM
from samsyn.errors import SamsynError
from samsyn.hl7v2.alike import AlikeReports
from samsyn.hl7v2.faults import BadMessage
from samsyn.hl7v2.interpret import read_message
from samsyn.hl7v2.meaning import Interpretation
from samsyn.hl7v2.profile import Profile
from samsyn.hl7v2.times import Doubt
from samsyn.reports.profiles import load_profile, shipped_profiles
from tests.fuzz.messages import mutated
from tests.hl7v2.messages import SENDER, TOLVAN, message, msh, obr, obx, pid, segment

_VALUES = (
    "", "", "A1", "A2", "R 7", " x ", '""', "F", "P", "C", "W", "f", "X", "K1^RIS", "K2^^2.25.9^ISO", "a^b^c", "^b",
    "a&b^c", "x~y", "\\T\\", "20240315101530", "20240315", "2024", "20240331023000", "20241027023000",
    "20240315101530+0100", "20249999", "19121212", "19121200", "191212121212", "191212121212^^^PNR", "B17^^^NORD",
    "B17^^^^PI", "Y", "N", "M", "1.2.3", "2.25.77^x", "Tolvan^T&u", "O=K^x", "å ä^ö", "|", "%s", "%", "1\u00a02",
    "CTTHX^DT thorax^L", "4711&Ek&Eva", "4711^Ek^Eva", "a" * 300,
)  # fmt: skip
_ADDED = (
    "NTE|1||Anm", "ZDS|1.2.840.1^x", "PV1|1" + "|" * 18 + "V77", "PD1" + "|" * 12 + "Y", "ZZZ", "", " ", "OBX", "PID|1",
    "OBR|2", "ORC|RE", "obx|1", "IPC|A7||1.2.3", "OBX|9|ST|113014^Study||1.2.3||||||F", "MSH|^~\\&|", "EVN|R01|2024",
)  # fmt: skip


def report(rng: random.Random) -> list[str]:
    """Segments of a report, each of a few kinds that sources send."""
    number = rng.randrange(10_000)
    sent = f"202403{rng.randrange(1, 29):02}{rng.randrange(24):02}1530"
    lines = [
        msh("ORU^R01", f"M{number}", sent=sent),
        pid(rng.choice((TOLVAN, f"B{number}", f"B{number}^^^^PI"))),
    ]
    if rng.random() < 0.5:
        lines.append(segment("ORC", {1: "RE", 2: f"R{number}", 3: f"F{number}"}))
    fields = {2: f"R{number}", 3: f"F{number}^RIS", 18: f"A{number}", 22: sent[:12]}
    if rng.random() < 0.5:
        fields[32] = rng.choice(("4711&Ek&Eva", "4712&Al&Åsa"))
    lines.append(obr(fields))
    code = rng.choice(("UTL^Utlåtande", "UTL^Utlåtande", "FYND", "BED"))
    for place in range(rng.randrange(1, 5)):
        lines.append(obx(rng.choice(("Utan anm.", "Rad ett ", "", "100 %")), code=code, number=place + 1))
    return lines


def changed(rng: random.Random, lines: list[str]) -> list[str]:
    """The segments with a field put in another way, or a segment added, taken away, doubled or moved."""
    lines = list(lines)
    what, place = rng.random(), rng.randrange(len(lines))
    if what < 0.75:
        fields = lines[place].split("|")
        field = rng.randrange(1, 34)
        fields += [""] * (field + 1 - len(fields))
        fields[field] = rng.choice(_VALUES)
        lines[place] = "|".join(fields)
    elif what < 0.85:
        lines.insert(place + rng.randrange(2), rng.choice(_ADDED))
    elif what < 0.9:
        del lines[place]
    elif what < 0.95:
        lines.insert(place, lines[place])
    else:
        lines.insert(rng.randrange(len(lines)), lines.pop(place))
    return lines


def messages(rng: random.Random) -> Iterator[bytes]:
    """One after the other as from one source: most as usual, others changed in one or two ways, some broken."""
    while True:
        lines = report(rng)
        for _ in range(rng.choice((0, 0, 1, 1, 1, 2))):
            lines = changed(rng, lines) if lines else lines
        charset = "utf-8" if rng.random() < 0.1 else "latin-1"
        if charset == "utf-8" and lines and rng.random() < 0.9:
            lines[0] = lines[0].replace("8859/1", "UNICODE UTF-8")
        raw = message(*lines, charset=charset)
        if rng.random() < 0.1 and raw:
            place = rng.randrange(len(raw))
            raw = raw[:place] + bytes([rng.randrange(256)]) + raw[place + rng.randrange(2) :]
        yield raw if rng.random() < 0.95 else mutated(rng)


def told(read: Callable[[bytes], Interpretation], raw: bytes) -> object:
    """What was read, or the refusal with its place and sentence."""
    try:
        return read(raw)
    except SamsynError as refusal:
        place = (
            (refusal.segment, refusal.sequence, refusal.field, refusal.condition)
            if isinstance(refusal, BadMessage)
            else ()
        )
        return type(refusal), refusal.detail, place


@pytest.mark.parametrize("name", shipped_profiles())
def test_both_ways_tell_the_same_of_whatever_comes(name: str) -> None:
    profile = load_profile(name)

    def in_the_long_way(raw: bytes) -> Interpretation:
        return read_message(raw, profile, SENDER)

    for seed in range(4):
        rng = random.Random(seed)
        alike = AlikeReports(profile, SENDER)
        coming = messages(rng)
        count = 1_500
        for _ in range(count):
            raw = next(coming)
            assert told(alike.read, raw) == told(in_the_long_way, raw), raw
        assert count / 4 < alike.read_short < count


def test_what_decides_is_learned_anew_for_each_word() -> None:
    alike = AlikeReports(Profile("test"), SENDER)

    def status(word: str, line: str = "F") -> str:
        raw = message(msh("ORU^R01"), pid(), obr({25: word}), obx("Text", line))
        found = alike.read(raw)
        assert found == read_message(raw, Profile("test"), SENDER)
        return found.events[0].status.value  # type: ignore[union-attr]  # a report

    said = [
        status("F"),
        status("F"),
        status("P"),
        status("F", "P"),
        status("C", "C"),
        status("F"),
        status("P"),
    ]
    assert said == ["final", "final", "preliminary", "preliminary", "correction", "final", "preliminary"]
    assert alike.read_short == 3


def test_comments_behind_a_line_and_words_on_protection_are_never_passed_over() -> None:
    profile = Profile("test")
    alike = AlikeReports(profile, SENDER)
    for comment in ("", "", "Se även tidigare svar.", "", "Muntligt besked givet."):
        for before in ("", "NTE|1||Före"):
            lines = [obr({}), *([before] if before else []), obx("Text"), f"NTE|1||{comment}"]
            raw = message(msh("ORU^R01"), pid(), *lines)
            assert alike.read(raw) == read_message(raw, profile, SENDER)
            assert comment in alike.read(raw).events[0].text  # type: ignore[union-attr]  # a report
    for word in ("", "N", "N", "Y", '""', "", "N"):
        raw = message(msh("ORU^R01"), pid(), "PD1" + "|" * 12 + word, obr({}), obx("Text"))
        assert alike.read(raw) == read_message(raw, profile, SENDER)


def test_both_ways_tell_the_same_of_the_hour_that_comes_twice() -> None:
    profile = Profile("test")
    alike = AlikeReports(profile, SENDER)
    doubts = []
    for minute in range(0, 240, 7):
        arrived = datetime(2024, 10, 26, 23, 30, tzinfo=UTC) + timedelta(minutes=minute)
        local = arrived.astimezone(STOCKHOLM)
        for sent in (local.strftime("%Y%m%d%H%M%S"), local.strftime("%Y%m%d%H%M%S%z"), "20241027030500"):
            raw = message(
                msh("ORU^R01", sent=sent), pid(), obr({22: local.strftime("%Y%m%d%H%M%S")}), obx("T")
            )
            found = alike.read(raw, arrived)
            assert found == read_message(raw, profile, SENDER, arrived)
            doubts.append(found.events[0].doubt)  # type: ignore[union-attr]  # a report
            if sent[:12] == local.strftime("%Y%m%d%H%M"):
                assert found.events[0].result_time == arrived  # type: ignore[union-attr]  # a report
    assert set(doubts) == {Doubt.NONE, Doubt.SMALL, Doubt.FULL}
    assert alike.read_short > 0


def test_memory_of_a_source_is_bounded() -> None:
    alike = AlikeReports(Profile("test"), SENDER)
    for number in range(1_000):
        code = f"C{number}^{'x' * (number % 3 * 600)}"
        alike.read(
            message(msh("ORU^R01", f"M{number}"), pid(), obr({4: code, 32: f"{number}&Ek&Eva"}), obx("Text"))
        )
    (plan,) = alike._plans.values()
    assert plan is not None
    assert 0 < len(plan.reports) <= 256
    assert all(sum(map(len, key[1:])) <= 1_000 for key in plan.reports)
