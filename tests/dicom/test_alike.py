"""What a data set says does not depend on those that came before it from the same source."""

import gc
import struct
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.dicom import reading
from samsyn.dicom.alike import Alike
from samsyn.dicom.reading import Summary, summarize
from samsyn.errors import BadInput, LimitExceeded, SamsynError
from tests.dicom.corpus import EXPLICIT, UNDEFINED, data_sets, element, item, minimal, pad

CHARSETS = (b"", b"ISO_IR 100", b"ISO_IR 192", b"\\ISO 2022 IR 13")
REQUEST = element(0x00400275, b"SQ", item(element(0x00401001, b"SH", b"P1")))
TEXTS = (
    b"",
    b"A",
    "Å".encode("latin-1"),
    "Åsa".encode(),
    b"\x1b$BAB\x1b(B",
    b"20260301",
    b"1.5\\2.5",
    b"x" * 70,
)


def mr(
    number: int,
    *,
    charset: bytes = b"ISO_IR 100",
    station: bytes = b"MR1",
    position: bytes = b"-1.5\\2\\3",
    private: int = 4,
    more: bytes = b"",
    pixels: bytes = bytes(32),
) -> bytes:
    """A slice as a scanner makes one after the other."""
    return b"".join(
        (
            element(0x00080005, b"CS", pad(charset)),
            element(0x00080008, b"CS", b"ORIGINAL\\PRIMARY"),
            element(0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.4\0"),
            element(0x00080018, b"UI", pad(b"2.25.%d" % number, b"\0")),
            element(0x00080020, b"DA", b"20260301"),
            element(0x00080030, b"TM", b"101112"),
            element(0x00080050, b"SH", b"A1"),
            element(0x00080060, b"CS", b"MR"),
            element(0x00081010, b"SH", pad(station)),
            element(0x00081140, b"SQ", item(element(0x00081155, b"UI", pad(b"2.25.%d" % number, b"\0")))),
            more,
            element(0x00100010, b"PN", pad("Öberg^Åsa".encode("latin-1"))),
            element(0x00100020, b"LO", b"19121212"),
            element(0x00100030, b"DA", b"19121212"),
            element(0x00100040, b"CS", b"F "),
            element(0x00180015, b"CS", b"KNEE"),
            element(0x00180050, b"DS", b"3.5 "),
            element(0x00181030, b"LO", b"T2 "),
            element(0x0020000D, b"UI", b"2.25.22\0"),
            element(0x0020000E, b"UI", b"2.25.33\0"),
            element(0x00200013, b"IS", pad(b"%d" % number)),
            element(0x00200032, b"DS", pad(position)),
            element(0x00280002, b"US", b"\1\0"),
            element(0x00280010, b"US", b"\4\0"),
            element(0x00280011, b"US", struct.pack("<H", 4)),
            element(0x00280100, b"US", b"\x10\0"),
            element(0x00280101, b"US", b"\x0c\0"),
            element(0x00280103, b"US", b"\0\0"),
            element(0x00290010, b"LO", b"MAKER "),
            element(0x00291010, b"OB", bytes(private)),
            element(0x7FE00010, b"OW", pixels),
        )
    )


def told(data: bytes | memoryview, alike: Alike | None) -> Summary | tuple[type[SamsynError], str]:
    """The summary, or what was wrong."""
    try:
        return summarize(data, EXPLICIT, alike)
    except SamsynError as error:
        return type(error), error.detail


def elements_in_runs(alike: Alike) -> int:
    return sum(len(run.elements) for run in alike.runs.values())


def test_a_series_is_read_by_runs_and_each_slice_says_its_own() -> None:
    alike = Alike()
    for number in range(1, 1200):
        position = b"-1.5\\%d\\%s" % (number, b"3" * (number % 5 + 1))
        data = mr(number, position=position)
        summary = summarize(memoryview(bytearray(data)), EXPLICIT, alike)
        assert summary == summarize(data, EXPLICIT)
        assert summary.sop_instance_uid == f"2.25.{number}"
        assert summary.values[0x00200013] == str(number)
    # Runs end where the instance's UID, the sequence, the number and the position stand; two are too short to be one.
    assert elements_in_runs(alike) == 17


def test_values_that_change_under_the_same_headers_are_told_anew() -> None:
    alike = Alike()
    seen = [
        summarize(mr(1, station=station), EXPLICIT, alike) for station in (b"MR1", b"MR1", b"MR2", b"CT1")
    ]
    assert [each.values[0x00081010] for each in seen] == ["MR1", "MR1", "MR2", "CT1"]


def series(number: int, name: bytes) -> bytes:
    """A slice of the series whose every text, UID and sequence has the name in it."""
    return mr(number, station=name, more=REQUEST.replace(b"P1", name)).replace(b"2.25.33", b"2.25." + name)


def test_what_stays_the_same_in_a_series_is_compared_and_not_read_again() -> None:
    alike = Alike()
    for name in (b"11", b"22", b"33"):
        for number in range(101, 121):
            data = series(number, name)
            assert summarize(memoryview(data), EXPLICIT, alike) == summarize(data, EXPLICIT)
        fixed = {tag: bytes(raw) for run in alike.runs.values() for tag, raw in run.fixed.items()}
        assert fixed[0x00081010] == name
        assert 0x00400275 in fixed
        assert 0x00080018 not in fixed
        assert alike.uids[0x0020000E][1] == f"2.25.{name.decode()}"


def test_values_that_change_with_every_other_slice_are_not_taken_for_a_series() -> None:
    alike = Alike()
    for number in range(101, 140):
        data = mr(number, station=b"%d" % (10 + number // 2))
        assert summarize(data, EXPLICIT, alike) == summarize(data, EXPLICIT)
    assert all(0x00081010 not in run.fixed for run in alike.runs.values())
    assert any(tag == 0x00081010 for run in alike.runs.values() for tag, _, _ in run.values)


def test_the_same_bytes_under_another_character_set_are_another_text() -> None:
    alike = Alike()
    names = [
        summarize(mr(1, charset=charset), EXPLICIT, alike).values[0x00100010]
        for charset in (b"ISO_IR 100", b"ISO_IR 101", b"ISO_IR 192", b"ISO_IR 100")
    ]
    assert names[0] == names[3] == "Öberg^Åsa"
    assert names[2] != names[0]
    assert names == [
        summarize(mr(1, charset=charset), EXPLICIT).values[0x00100010]
        for charset in (b"ISO_IR 100", b"ISO_IR 101", b"ISO_IR 192", b"ISO_IR 100")
    ]


def test_an_identifier_that_a_run_repeats_is_refused() -> None:
    alike = Alike()
    plain = mr(1)
    summarize(plain, EXPLICIT, alike)
    summarize(plain, EXPLICIT, alike)
    twice = element(0x00200010, b"SH", b"S1") + element(0x00280010, b"US", b"\5\0") + plain
    for data in (twice, mr(1, more=element(0x00280010, b"US", b"\5\0"))):
        with pytest.raises(BadInput, match="stands twice"):
            summarize(data, EXPLICIT, alike)


def test_every_truncation_is_refused_alike() -> None:
    alike = Alike()
    data = mr(1)
    for length in range(len(data)):
        summarize(data, EXPLICIT, alike)
        assert told(data[:length], alike) == told(data[:length], None)


def test_elements_in_runs_count(monkeypatch: pytest.MonkeyPatch) -> None:
    alike = Alike()
    data = mr(1, more=REQUEST)
    outcomes = []
    for most in range(20, 45):
        summarize(data, EXPLICIT, alike)
        with monkeypatch.context() as changed:
            changed.setattr(reading, "MAX_ELEMENTS", most)
            outcomes.append(told(data, alike))
            assert outcomes[-1] == told(data, None)
    assert outcomes[0] == (LimitExceeded, "MAX_ELEMENTS")
    assert isinstance(outcomes[-1], Summary)


def test_a_sequence_that_stays_the_same_belongs_to_a_run() -> None:
    alike = Alike()
    for number in range(1, 5):
        data = mr(number, more=REQUEST)
        summary = summarize(data, EXPLICIT, alike)
        assert summary == summarize(data, EXPLICIT)
        assert summary.request is not None
    assert any(element.tag == 0x00400275 for run in alike.runs.values() for element in run.elements)
    other = REQUEST.replace(b"P1", b"P2")
    assert summarize(mr(5, more=other), EXPLICIT, alike) == summarize(mr(5, more=other), EXPLICIT)


def test_nothing_keeps_an_instance_in_memory() -> None:
    alike = Alike()
    held = bytearray(mr(1, station=b"x" * 200, pixels=bytes(1000)))
    for _ in range(2):
        summarize(memoryview(held), EXPLICIT, alike)
    held += b"a bytearray that anybody has a view of can not grow"
    big = mr(1, station=b"y" * 3000, private=70_000)
    summarize(big, EXPLICIT, alike)
    assert all(len(raw) <= 1024 for run in alike.runs.values() for raw in run.fixed.values())
    padded = (
        mr(1)
        .replace(b"2.25.22\0", b"2.25.22\0" + bytes(1200))
        .replace(b"UI\x08\x002.25.22", b"UI\xb8\x042.25.22")
    )
    assert summarize(padded, EXPLICIT, alike).study_uid == "2.25.22"
    assert all(len(raw) <= 1024 for raw, _ in alike.uids.values())


def test_what_is_kept_of_a_source_is_bounded() -> None:
    alike = Alike()
    sequence = item(element(0x00081155, b"LT", b"x" * 900))
    many = b"".join(element(0x00090000 + n * 0x20000, b"SQ", sequence) for n in range(1, 300))
    more = b"".join(element(0x00190000 + n, b"LO", b"x" * 800) for n in range(1, 3000))
    values = (b"y" * 1000, b"z" * 900)
    gc.collect()
    tracemalloc.start()
    for before in (many, more, many + more):
        for value in values:
            data = minimal(before, after=element(0x00080080, b"LO", value))
            assert summarize(data, EXPLICIT, alike) == summarize(data, EXPLICIT)
    del data, before
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert alike.runs
    assert kept < 400 * 1024


def test_a_source_with_nothing_to_learn_is_given_up() -> None:
    alike = Alike()
    for number in range(4):
        assert alike.wants_lesson()
        data = minimal(element(0x00080050, b"SH", b"A" * 2 * number))
        assert summarize(data, EXPLICIT, alike) == summarize(data, EXPLICIT)
    assert not alike.wants_lesson()


@pytest.mark.slow
def test_the_public_objects_are_read_alike_after_any_other() -> None:
    alike = Alike()
    sets = [
        data for path, syntax, data in data_sets() if syntax != "1.2.840.10008.1.2" and len(data) < 1 << 20
    ]
    assert len(sets) > 50
    for data in (*sets, *reversed(sets)):
        assert told(data, alike) == told(data, None)
        assert told(data, alike) == told(data, None)


@st.composite
def _series(draw: st.DrawFn) -> Sequence[bytes]:
    """Slices of one source: values of other lengths, elements that come and go, bytes that were broken on the way."""
    made = []
    for _ in range(draw(st.integers(2, 6))):
        data = bytearray(
            mr(
                draw(st.integers(1, 120)),
                charset=draw(st.sampled_from(CHARSETS)),
                station=draw(st.sampled_from(TEXTS)),
                position=draw(st.sampled_from(TEXTS)),
                private=draw(st.sampled_from((0, 4, 2000))),
                more=draw(
                    st.sampled_from(
                        (
                            b"",
                            element(0x00081030, b"LO", b"KNEE"),
                            element(0x00081110, b"SQ", b"", UNDEFINED),
                            REQUEST,
                            REQUEST.replace(b"P1", b"P2"),
                            element(0x00280010, b"US", b"\4\0"),
                        )
                    )
                ),
            )
        )
        for place, byte in draw(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=2)):
            data[place % len(data)] = byte
        made.append(bytes(data[: draw(st.sampled_from((len(data), len(data), len(data), 300)))]))
    return made


@given(_series())
def test_whatever_came_before_a_data_set_is_told_as_if_it_were_the_first(series: Sequence[bytes]) -> None:
    alike = Alike()
    summarize(mr(1), EXPLICIT, alike)
    for data in series:
        assert told(data, alike) == told(data, None)


@given(_series(), st.lists(st.tuples(st.integers(0, 5), st.integers(1, 12)), max_size=5))
def test_so_it_is_when_some_come_many_times(
    series: Sequence[bytes], times: Sequence[tuple[int, int]]
) -> None:
    alike = Alike()
    for which, how_often in times:
        for _ in range(how_often):
            data = series[which % len(series)]
            assert told(data, alike) == told(data, None)
