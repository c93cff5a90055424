"""MLLP framing: whole blocks only, in any portions, and close on everything that is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.errors import BadInput, LimitExceeded
from samsyn.wire.mllp import BlockReader, framed

content = st.binary(max_size=200).filter(lambda data: b"\x0b" not in data and b"\x1c" not in data)


def blocks(reader: BlockReader) -> list[bytes]:
    found = []
    while (block := reader.next_block()) is not None:
        found.append(block)
    return found


@given(st.lists(content, max_size=5), st.data())
def test_messages_come_out_whole_however_the_bytes_are_cut(
    messages: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(framed(message) for message in messages)
    reader, found = BlockReader(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        reader.feed(stream[:size])
        stream = stream[size:]
        found += blocks(reader)
    assert found == messages
    reader.end()


def test_a_byte_at_a_time_gives_the_message_at_its_last_byte() -> None:
    reader = BlockReader()
    stream = framed(b"MSH|")
    for byte in stream[:-1]:
        reader.feed(bytes([byte]))
        assert reader.next_block() is None
        assert reader.inside_block
    reader.feed(stream[-1:])
    assert reader.next_block() == b"MSH|"
    assert not reader.inside_block


def test_more_may_come_before_the_first_message_is_taken() -> None:
    reader = BlockReader()
    reader.feed(framed(b"first"))
    assert reader.inside_block
    reader.feed(framed(b"second"))
    reader.feed(b"\x0bthi")
    assert [reader.next_block(), reader.next_block(), reader.next_block()] == [b"first", b"second", None]
    reader.feed(b"rd\x1c\r")
    assert reader.next_block() == b"third"
    assert not reader.inside_block


def test_line_ends_between_blocks_are_tolerated() -> None:
    reader = BlockReader()
    reader.feed(framed(b"a") + b"\n\r\n" + framed(b"b") + b"\r\n")
    assert blocks(reader) == [b"a", b"b"]
    reader.end()


@pytest.mark.parametrize(
    "junk",
    [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00", b"\x01\x00\x00\x00\x00\xcd", b"MSH|^~\\&|", b"\x1c\r"],
)
def test_bytes_outside_a_block_cost_the_connection(junk: bytes) -> None:
    reader = BlockReader()
    reader.feed(junk)
    with pytest.raises(BadInput):
        reader.next_block()


def test_blocks_before_a_fault_in_the_same_packet_are_still_handed_out() -> None:
    reader = BlockReader()
    reader.feed(framed(b"good") + b"GET / HTTP/1.1")
    assert reader.next_block() == b"good"
    with pytest.raises(BadInput):
        reader.next_block()


def test_after_a_fault_the_reader_stays_at_fault_and_keeps_nothing() -> None:
    reader = BlockReader()
    reader.feed(b"junk")
    with pytest.raises(BadInput):
        reader.next_block()
    reader.feed(framed(b"good"))
    with pytest.raises(BadInput):
        reader.next_block()
    assert reader._buffer == b""


def test_a_missing_end_block_gives_out_no_half_message() -> None:
    reader = BlockReader()
    reader.feed(b"\x0bfirst, never ended" + framed(b"second"))
    with pytest.raises(BadInput, match="no FS CR"):
        reader.next_block()


def test_an_end_without_carriage_return_is_refused() -> None:
    reader = BlockReader()
    reader.feed(b"\x0bmessage\x1c\x0bnext")
    with pytest.raises(BadInput, match="FS"):
        reader.next_block()


def test_a_connection_that_ends_inside_a_block_is_told() -> None:
    reader = BlockReader()
    reader.feed(b"\x0bMSH|")
    assert reader.next_block() is None
    with pytest.raises(BadInput):
        reader.end()


def test_a_message_above_the_limit_is_refused_before_its_end_has_come() -> None:
    reader = BlockReader(max_bytes=1000)
    reader.feed(b"\x0b")
    for _ in range(10):
        reader.feed(b"x" * 100)
        assert reader.next_block() is None
    reader.feed(b"x")
    with pytest.raises(LimitExceeded, match="MAX_HL7_MESSAGE_BYTES"):
        reader.next_block()


def test_a_message_at_the_limit_is_taken() -> None:
    reader = BlockReader(max_bytes=1000)
    reader.feed(framed(b"x" * 1000))
    assert reader.next_block() == b"x" * 1000


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_give_blocks_or_close(data: bytes) -> None:
    reader = BlockReader(max_bytes=100)
    reader.feed(data)
    try:
        for block in blocks(reader):
            assert len(block) <= 100
        reader.end()
    except (BadInput, LimitExceeded):
        pass


@pytest.mark.parametrize("message", [b"a\x0bb", b"a\x1cb"])
def test_what_would_tear_the_frame_is_not_framed(message: bytes) -> None:
    with pytest.raises(BadInput):
        framed(message)
