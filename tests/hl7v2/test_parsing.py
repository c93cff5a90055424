"""The bounded reader: delimiters, escapes, character sets, Z-segments, limits."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from samsyn import limits
from samsyn.errors import BadInput, LimitExceeded, NotSupported, SamsynError
from samsyn.hl7v2.charsets import Charset
from samsyn.hl7v2.escapes import Delimiters, escape, unescape
from samsyn.hl7v2.faults import BadMessage
from samsyn.hl7v2.parsing import Grammar, Segment, parse, split_batch
from tests.hl7v2.messages import message, msh, obr, obx, pid, segment

HEAD = "MSH|^~\\&|A|B|C|D|20240101||ORU^R01|1|P|2.5\r"
STANDARD = Delimiters()


def value(text: str, charset: Charset = Charset.LATIN_1) -> str:
    return unescape(text, STANDARD, charset)


def test_fields_have_the_numbers_of_the_standard() -> None:
    parsed = parse(message(msh("ORU^R01", f15="AL"), pid(), obr(), obx("text")))
    assert parsed.msh.text(1) == "|"
    assert parsed.msh.text(2) == "^~\\&"
    assert parsed.msh.text(3) == "NORDRIS"
    assert (parsed.msh.text(9), parsed.msh.text(9, 2)) == ("ORU", "R01")
    assert parsed.msh.text(15) == "AL"
    assert parsed.msh.text(18) == "8859/1"
    assert parsed.segments[1].text(3, 4) == "PNR"


def test_custom_delimiters_cut_and_standard_ones_become_letters() -> None:
    parsed = parse(
        b"MSH#*;!%#A#B#C#D#2024##ORU*R01#1#P#2.5\rPID###1^2|3*x%y*z;4\rNTE#1##a!F!b!S!c!R!d!T!e!E!f\r"
    )
    pid_segment, nte = parsed.segments[1:]
    assert pid_segment.text(3) == "1^2|3"
    assert pid_segment.text(3, 2) == "x%y"
    assert pid_segment.text(3, 2, 2) == "y"
    assert pid_segment.text(3, 1, 0, 2) == "4"
    assert nte.whole(3) == "a#b*c;d%e!f"


def test_repetitions_and_absent_parts() -> None:
    segment = parse((HEAD + "PID|||a~~c^d\r").encode()).segments[1]
    assert segment.repetitions(3) == 3
    assert segment.repetitions(2) == segment.repetitions(99) == 0
    assert [segment.text(3, 1, 0, number) for number in (1, 2, 3, 4)] == ["a", "", "c", ""]
    assert segment.text(3, 2, 0, 3) == "d"


def test_a_null_reads_as_empty_and_can_be_told_apart() -> None:
    segment = parse((HEAD + 'PID|||1||""|\r').encode()).segments[1]
    assert segment.text(5) == ""
    assert segment.is_null(5)
    assert not segment.is_null(6)


def test_ampersand_in_a_text_or_component_is_not_lost() -> None:
    segment = parse((HEAD + "OBR|1|||X^Lungor & hjärta^L\r").encode("latin-1")).segments[1]
    assert segment.text(4, 2) == "Lungor & hjärta"
    assert segment.whole(4) == "X^Lungor & hjärta^L"


def test_segments_of_the_sender_s_own_are_kept_in_order() -> None:
    parsed = parse(message(msh("ADT^A08"), "ZAA|1|x", pid(), "ZAB|2"))
    assert [segment.name for segment in parsed.segments] == ["MSH", "ZAA", "PID", "ZAB"]
    found = parsed.first("ZAB")
    assert found is not None
    assert found.text(1) == "2"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_the_three_segment_ends_that_occur_are_read(end: str) -> None:
    raw = end.join([HEAD.strip(), "PID|||1", "OBX|1|TX|||text", ""]).encode()
    assert [segment.name for segment in parse(raw).segments] == ["MSH", "PID", "OBX"]


def test_a_line_feed_inside_a_text_of_cr_ended_segments_is_a_line_break() -> None:
    parsed = parse(b"MSH|^~\\&|A|B|C|D|2024||ORU^R01|1|P|2.5\rOBX|1|TX|||rad 1\nrad 2\r")
    assert parsed.segments[1].whole(5) == "rad 1\nrad 2"


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (r"a\F\b", "a|b"),
        (r"a\S\b", "a^b"),
        (r"a\T\b", "a&b"),
        (r"a\R\b", "a~b"),
        (r"a\E\b", "a\\b"),
        (r"rad 1\.br\rad 2", "rad 1\nrad 2"),
        (r"rad 1\.BR\rad 2", "rad 1\nrad 2"),
        (r"a\.sp2\b", "a\n\nb"),
        (r"a\.sp+2\b", "a\n\nb"),
        (r"a\.sk3\b", "a   b"),
        (r"\.in4\a\.fi\b", "ab"),
        (r"a\.ce\b", "a\nb"),
        (r"\H\viktigt\N\!", "viktigt!"),
        (r"sm\XE5\ fynd", "små fynd"),
        (r"a\X0D0A\b", "a\nb"),
        (r"a\X0D\b", "a\nb"),
        (r"\E\.br\E\ ", "\\.br\\ "),
    ],
)
def test_escape_sequences_of_chapter_2(sent: str, meant: str) -> None:
    assert value(sent) == meant


@pytest.mark.parametrize(
    "sent", [r"C:\temp\bilder\1", r"\\server\mapp", r"50\50", "slut\\", r"\Zdd\ ", r"\.xx", r"a\q\b", "\\"]
)
def test_what_chapter_2_does_not_know_is_kept_exactly_as_sent(sent: str) -> None:
    assert value(sent) == sent


def test_a_path_does_not_hide_a_real_escape_after_it() -> None:
    assert value(r"C:\temp och \.br\rad 2") == "C:\\temp och \nrad 2"


@pytest.mark.parametrize("sent", [r"\X41", r"\X4\ ", r"\X4G\ ", r"\X07\ "])
def test_broken_hex_and_control_characters_are_refused(sent: str) -> None:
    with pytest.raises(BadInput):
        value(sent)


@pytest.mark.parametrize("sent", [r"\C2842\text", r"\M2442\text"])
def test_a_switch_of_character_set_inside_a_text_is_refused(sent: str) -> None:
    with pytest.raises(NotSupported):
        value(sent)


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\x7f") | st.just("\n")))
def test_escaping_and_unescaping_give_the_same_text(text: str) -> None:
    assert unescape(escape(text), STANDARD, Charset.UTF_8) == text


ALL_LETTERS = "åäöÅÄÖéÉüÜ"


@pytest.mark.parametrize(
    ("declared", "codec", "default"),
    [
        ("8859/1", "latin-1", Charset.UTF_8),
        ("UNICODE UTF-8", "utf-8", Charset.LATIN_1),
        ("unicode utf-8", "utf-8", Charset.LATIN_1),
        ("WINDOWS-1252", "cp1252", Charset.UTF_8),
        ("", "latin-1", Charset.LATIN_1),
        ("", "cp1252", Charset.WINDOWS_1252),
        ("", "utf-8", Charset.UTF_8),
        ("ASCII", "latin-1", Charset.LATIN_1),
        ("8859/1~UNICODE UTF-8", "latin-1", Charset.LATIN_1),
        ("8859/15", "iso8859-15", Charset.LATIN_1),
    ],
)
def test_swedish_letters_survive_by_declaration_or_source(
    declared: str, codec: str, default: Charset
) -> None:
    raw = message(msh("ORU^R01", charset=declared), obx(ALL_LETTERS), charset=codec)
    assert parse(raw, default).segments[1].whole(5) == ALL_LETTERS


def test_a_byte_order_mark_is_passed_over() -> None:
    raw = b"\xef\xbb\xbf" + message(msh("ORU^R01", charset="UNICODE UTF-8"), obx("å"), charset="utf-8")
    assert parse(raw).segments[1].whole(5) == "å"


def test_windows_dashes_under_a_latin_1_declaration_are_what_their_sender_means() -> None:
    raw = message(msh("ORU^R01"), obx("x")).replace(b"|x|", b"|\x96 5 \x80|")
    assert parse(raw).segments[1].whole(5) == "– 5 €"


def test_old_swedish_seven_bit_letters_are_put_in_after_the_delimiters() -> None:
    raw = b"MSH$*%!/$A$B$C$D$2024$$ADT*A08$1$P$2.3\rPID$$$1$$\\berg*]sa/x*K{re M|rt} [rlig\r"
    segment = parse(raw, Charset.SWEDISH_7BIT).segments[1]
    assert segment.text(5) == "Öberg"
    assert segment.text(5, 2, 1) == "Åsa"
    assert segment.text(5, 3) == "Käre Mörtå Ärlig"


def test_a_source_that_declares_wrongly_can_be_overruled() -> None:
    raw = message(msh("ORU^R01", charset="8859/1"), obx("å"), charset="utf-8")
    assert parse(raw, forced=Charset.UTF_8).segments[1].whole(5) == "å"


@pytest.mark.parametrize(
    ("declared", "codec"), [("UNICODE UTF-8", "latin-1"), ("8859/1", "utf-8"), ("", "utf-8")]
)
def test_bytes_that_contradict_the_declaration_are_refused_with_what_to_mend(
    declared: str, codec: str
) -> None:
    raw = message(msh("ORU^R01", charset=declared), obx("Små förändringar"), charset=codec)
    with pytest.raises(BadInput, match="MSH-18"):
        parse(raw)


@pytest.mark.parametrize("declared", ["UNICODE UTF-16", "GB 18030-2000", "8859/5", "å"])
def test_another_character_set_is_refused_by_name(declared: str) -> None:
    with pytest.raises(NotSupported, match="MSH-18"):
        parse(message(msh("ORU^R01", charset=declared), obx("x")))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"MSH", b"MSH|", b"PID|1\r", b"XSH|^~\\&|\r", b"MSH|^^\\&|A\r", b"MSHA^~\\&A\r", b"MSH|aB\\&|\r",
        b"MSH|^~\\&#@|\r", b"\x00" * 40, b"MSH\r^~\\&\r", b"MSH|^~\\&|A\rpid|1\r", b"MSH|^~\\&|A\rPID^1\r",
        b"MSH|^~\\&|A\rrad 2 av en text\r",
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(BadInput):
        parse(raw)


def test_two_messages_in_one_block_are_refused() -> None:
    with pytest.raises(BadMessage, match="two messages"):
        parse((HEAD + HEAD).encode())


@pytest.mark.parametrize(
    "raw",
    [
        HEAD.encode() + b"NTE|1\r" * 20_001,
        HEAD.encode() + b"NTE" + b"|" * 1_001,
        b"MSH|^~\\&|" + b"x" * (10 * 1024 * 1024),
    ],
)
def test_size_is_bounded(raw: bytes) -> None:
    with pytest.raises(LimitExceeded):
        parse(raw)


def test_repetitions_and_components_are_bounded_when_they_are_read() -> None:
    parsed = parse((HEAD + "NTE|1|" + "~" * 10_001 + "|" + "^" * 501 + "\r").encode())
    with pytest.raises(LimitExceeded, match="MAX_HL7_REPETITIONS"):
        parsed.segments[1].repetitions(2)
    with pytest.raises(LimitExceeded, match="MAX_HL7_COMPONENTS"):
        parsed.segments[1].text(3, 2)


@given(st.binary(max_size=400) | st.binary(max_size=400).map(lambda tail: HEAD.encode() + tail))
def test_no_bytes_do_anything_but_parse_or_be_refused(raw: bytes) -> None:
    try:
        parsed = parse(raw)
        for segment in parsed.segments:
            for field in range(len(segment.fields)):
                segment.whole(field)
                segment.text(field, 2, 2)
    except SamsynError:
        pass


def test_a_batch_file_is_cut_into_its_messages_byte_for_byte() -> None:
    one, two = message(msh("ADT^A08", "1"), pid()), message(msh("ADT^A08", "2"), pid())
    batch = b"FHS|^~\\&\rBHS|^~\\&\r" + one + two + b"BTS|2\rFTS|1\r"
    assert split_batch(batch) == (one, two)
    assert split_batch(one) == (one,)
    assert split_batch(b"") == ()


def test_a_batch_file_that_lacks_a_message_is_refused() -> None:
    with pytest.raises(BadMessage, match="tells 2"):
        split_batch(b"BHS|^~\\&\r" + message(msh("ADT^A08", "1"), pid()) + b"BTS|2\r")


def test_a_text_of_ten_thousand_repetitions_is_cut_once() -> None:
    raw = (
        msh("ORU^R01")
        + "\r"
        + segment("OBX", {5: "~".join(["rad"] * (limits.MAX_HL7_REPETITIONS - 1))})
        + "\r"
    ).encode()
    message = parse(raw)
    begun = time.process_time()
    lines = message.segments[1].every(5)
    assert len(lines) == limits.MAX_HL7_REPETITIONS - 1
    assert time.process_time() - begun < 0.5


@given(
    st.text(alphabet='ab"^&~\\ .Åå\t', max_size=20), st.integers(1, 4), st.integers(0, 2), st.integers(1, 2)
)
@example('"" ', 1, 0, 1)
def test_the_quick_way_to_a_component_gives_what_the_long_way_gives(
    field: str, component: int, subcomponent: int, repetition: int
) -> None:
    long = Segment("ZZZ", 1, ("ZZZ", field), Grammar(STANDARD, Charset.LATIN_1))
    raw = long._component(1, component, repetition)
    if subcomponent:
        raw = [*raw.split("&"), "", ""][subcomponent - 1]
    expected = long._plain(1, raw).strip()
    for quick in (long, parse(f"MSH|^~\\&|\rZZZ|{field}".encode("latin-1")).segments[1]):
        for _ in range(2):  # the second time from what was kept of the first
            assert quick.text(1, component, subcomponent, repetition) == expected
            assert quick.code(1) == quick.text(1).upper()
        assert quick.every(1) == [long._plain(1, each) for each in long._repeated(1)]


def test_an_escape_in_one_segment_leaves_the_others_plain() -> None:
    message = parse(
        b"MSH|^~\\&|A~B\rOBX|1|TX|T^Text||rad 1\\.br\\rad 2\rOBX|2|TX|T^Text||r~s\rOBX|3|TX|T^Text||rad 3"
    )
    assert [segment.grammar.is_plain for segment in message.segments] == [False, False, False, True]
    assert [segment.every(5) for segment in message.all("OBX")] == [["rad 1\nrad 2"], ["r", "s"], ["rad 3"]]
    assert message.segments.of_kind("OBX", "T") == list(message.all("OBX"))
    assert message.segments.of_kind("OBX", "U") == []
