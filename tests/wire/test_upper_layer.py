"""What a hostile or torn byte stream costs: its own association, at once, and no memory."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samsyn.limits import MAX_CONTROL_PDU_BYTES, MAX_PDU_BYTES
from samsyn.wire import pdu
from samsyn.wire.association_table import State
from samsyn.wire.upper_layer import SMALL_BUFFER_BYTES, Aborted, AssociationRequested, UpperLayer
from tests.wire.test_association_table import ANSWER, REQUEST, Collector


def _established() -> UpperLayer:
    machine = UpperLayer(Collector())
    machine.connected()
    machine.receive(pdu.encode_control(REQUEST))
    machine.accept(ANSWER)
    machine.take_output()
    machine.take_indications()
    return machine


@pytest.mark.parametrize(
    "first_bytes",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"SSH-2.0-OpenSSH\r\n",
        b"\x0bMSH|^~\\&|",
        b"\0",
        b"\xff",
    ],
    ids=["http", "tls", "ssh", "mllp", "zero", "ff"],
)
def test_bytes_of_another_protocol_are_aborted_and_closed_at_once(first_bytes: bytes) -> None:
    machine = UpperLayer(Collector())
    machine.connected()
    machine.receive(first_bytes[:1])
    assert machine.must_close
    assert machine.take_output() == pdu.encode_control(pdu.Abort(0, 0))
    machine.receive(first_bytes * 1000)
    assert machine.take_output() == b""
    assert machine.buffer_bytes == SMALL_BUFFER_BYTES


@pytest.mark.parametrize("kind", range(1, 8))
def test_a_header_that_claims_four_gibibytes_is_aborted_without_buffering(kind: int) -> None:
    for machine in (UpperLayer(Collector()), _established()):
        if machine.state == State.IDLE:
            machine.connected()
        machine.receive(struct.pack(">BxI", kind, 0xFFFFFFFF))
        assert machine.take_output()[0] == pdu.PduType.ABORT
        assert machine.state == State.AWAITING_CLOSE
        machine.receive(bytes(1 << 20))
        assert machine.buffer_bytes == SMALL_BUFFER_BYTES


def test_a_large_request_grows_the_buffer_only_to_its_own_size() -> None:
    machine = UpperLayer(Collector())
    machine.connected()
    machine.receive(struct.pack(">BxI", 1, MAX_CONTROL_PDU_BYTES) + bytes(5000))
    assert machine.buffer_bytes == MAX_CONTROL_PDU_BYTES + 6
    assert machine.state == State.AWAITING_REQUEST


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (struct.pack(">IBB", 0, 1, 0) + bytes(8), "value length 0"),
        (struct.pack(">IBB", 1, 1, 0) + bytes(8), "value length 1"),
        (struct.pack(">IBB", 11, 1, 0) + bytes(8), "value one byte over the PDU"),
        (struct.pack(">IBB", 0xFFFFFFFF, 1, 0) + bytes(8), "value of 4 GiB"),
        (struct.pack(">IBB", 2, 1, 0) + bytes(5), "stray bytes after the last value"),
        (bytes(5), "no room for a value header"),
        (b"", "no value"),
    ],
)
def test_an_impossible_presentation_data_value_is_aborted(body: bytes, why: str) -> None:
    machine = _established()
    machine.receive(struct.pack(">BxI", 4, len(body)) + body)
    assert machine.take_output() == pdu.encode_control(pdu.Abort(2, 6)), why
    indications = machine.take_indications()
    assert isinstance(indications[-1], Aborted)
    assert not indications[-1].by_peer


def test_p_data_over_the_agreed_maximum_is_aborted_from_its_header() -> None:
    machine = _established()
    machine.receive(struct.pack(">BxI", 4, MAX_PDU_BYTES + 1))
    assert machine.take_output() == pdu.encode_control(pdu.Abort(2, 6))


def test_what_follows_an_abort_is_not_looked_at() -> None:
    machine = _established()
    machine.receive(pdu.encode_control(pdu.Abort(0, 0)) + pdu.encode_control(REQUEST) * 3)
    assert machine.must_close
    assert len(machine.take_indications()) == 1
    assert machine.take_output() == b""


@given(st.lists(st.integers(1, 700), min_size=1, max_size=30), st.binary(min_size=1, max_size=3000))
@settings(max_examples=60)
def test_a_stream_means_the_same_however_it_is_torn(cuts: list[int], content: bytes) -> None:
    values = tuple(
        pdu.PresentationDataValue(1, False, True, content[i : i + 400]) for i in range(0, 3000, 400)
    )
    stream = pdu.encode_control(REQUEST)
    data = pdu.encode_p_data(pdu.PData(values)) * 2 + pdu.encode_control(pdu.ReleaseRequest())
    machine = UpperLayer(Collector())
    machine.connected()
    machine.receive(stream)
    machine.accept(ANSWER)
    position, turn = 0, 0
    while position < len(data):
        step = cuts[turn % len(cuts)]
        machine.receive(data[position : position + step])
        position, turn = position + step, turn + 1
    got = [item for item in machine.take_indications() if isinstance(item, bytes)]
    assert got == [value.fragment for value in values] * 2
    assert machine.state == State.AWAITING_LOCAL_RELEASE


def test_a_request_may_come_one_byte_at_a_time() -> None:
    machine = UpperLayer(Collector())
    machine.connected()
    data = pdu.encode_control(REQUEST)
    for position in range(len(data)):
        assert machine.state == State.AWAITING_REQUEST
        machine.receive(data[position : position + 1])
    assert machine.take_indications() == [AssociationRequested(REQUEST)]


def test_a_busy_connection_gets_a_large_buffer_and_never_more() -> None:
    machine = _established()
    fragment = bytes(MAX_PDU_BYTES - 6)
    data = pdu.encode_p_data(pdu.PData((pdu.PresentationDataValue(1, False, True, fragment),)))
    for _ in range(8):
        machine.receive(data)
    assert machine.buffer_bytes <= MAX_CONTROL_PDU_BYTES + 6
    assert len(machine.take_indications()) == 8
