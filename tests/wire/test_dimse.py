"""DIMSE messages: command sets, assembly from values, fragmentation into values."""

import contextlib
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samsyn.errors import BadInput, LimitExceeded
from samsyn.limits import MAX_IDENTIFIER_BYTES
from samsyn.wire import dimse, pdu
from samsyn.wire.assembly import (
    AgreedContext,
    Assembler,
    Message,
    encode_message,
    fragment_bytes,
    message_batches,
)
from samsyn.wire.command_set import Element, decode_elements, encode_elements
from samsyn.wire.dimse_status import (
    FIND_STATUSES,
    GENERAL_STATUSES,
    RETRIEVE_STATUSES,
    STORE_STATUSES,
    describe,
)
from tests.wire import strategies

CONTEXT = AgreedContext("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")
STORE = dimse.StoreRequest(7, CONTEXT.abstract_syntax, "1.2.3")


def _assembler(maximum: int = 1 << 20) -> Assembler:
    assembler = Assembler(maximum_bytes=maximum)
    assembler.agree({1: CONTEXT, 3: CONTEXT})
    return assembler


def _feed(assembler: Assembler, data: bytes) -> list[Message]:
    """The messages in whole P-DATA-TF PDUs."""
    messages = []
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position + 2 : position + 6], "big")
        for value in pdu.decode_p_data(data[position + 6 : position + 6 + length]).values:
            control = value.is_command | value.is_last << 1
            assembler.begin(value.context_id, control, len(value.fragment))
            assembler.fragment(memoryview(value.fragment))
            message = assembler.end()
            if message is not None:
                messages.append(message)
        position += 6 + length
    return messages


def _told(decode: Callable[[bytearray], tuple[dimse.Command, bool]], data: bytearray) -> object:
    try:
        return decode(data)
    except BadInput as error:
        return error.detail


@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF),
            st.sampled_from(("1.2.3", "1.2.4", "1.2.40", "")),
            st.sampled_from((None, 0, 77)),
            st.sampled_from(("", "MOVER")),
            st.booleans(),
            st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=1),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_a_command_is_read_the_same_whatever_came_before(
    told: list[tuple[int, str, int | None, str, bool, list[tuple[int, int]]]],
) -> None:
    reader = dimse.CommandReader()
    for message_id, uid, originator, mover, has_data, broken in told:
        request = dimse.StoreRequest(message_id, CONTEXT.abstract_syntax, uid, 0, mover, originator)
        data = bytearray(dimse.encode_command(request, has_data))
        for place, byte in broken:
            data[place % len(data)] = byte
        assert _told(reader.decode, data) == _told(dimse.decode_command, data)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF),
            st.sampled_from((0, 0xB000, 0xA700)),
            st.sampled_from(("1.2.3", "1.2.4", "1.2.40", "")),
            st.sampled_from(("", "full")),
            st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=1),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_an_answer_is_read_the_same_whatever_came_before(
    told: list[tuple[int, int, str, str, list[tuple[int, int]]]],
) -> None:
    reader = dimse.CommandReader()
    for message_id, status, uid, comment, broken in told:
        answer = dimse.StoreResponse(message_id, status, CONTEXT.abstract_syntax, uid, comment)
        data = bytearray(dimse.encode_command(answer, False))
        for place, byte in broken:
            data[place % len(data)] = byte
        assert _told(reader.decode, data) == _told(dimse.decode_command, data)


def test_a_command_with_its_elements_in_another_order_is_read_the_same() -> None:
    first, second = (
        b"".join(
            (
                bytes((0, 0, 0x00, 0x10, 6, 0, 0, 0)) + b"1.2.%d\0" % number,
                bytes((0, 0, 0x00, 0x01, 2, 0, 0, 0, 1, 0)),
                bytes((0, 0, 0x10, 0x01, 2, 0, 0, 0, number, 0)),
                bytes((0, 0, 0x00, 0x08, 2, 0, 0, 0, 0, 0)),
            )
        )
        for number in (3, 4)
    )
    reader = dimse.CommandReader()
    for data in (first, second):
        assert reader.decode(bytearray(data)) == dimse.decode_command(data)


@given(
    st.integers(0, 0xFFFF),
    st.sampled_from((0, 0xC123)),
    strategies.uids | st.just(""),
    strategies.uids | st.just(""),
)
def test_an_answer_to_a_store_has_its_elements_in_order(
    message_id: int, status: int, of: str, uid: str
) -> None:
    elements = {
        Element.COMMAND_FIELD: b"\x01\x80",
        Element.MESSAGE_ID_RESPONDED: struct.pack("<H", message_id),
        Element.DATA_SET_TYPE: b"\x01\x01",
        Element.STATUS: struct.pack("<H", status),
    }
    for element, value in ((Element.AFFECTED_SOP_CLASS_UID, of), (Element.AFFECTED_SOP_INSTANCE_UID, uid)):
        if value:
            elements[element] = value.encode() + b"\0" * (len(value) % 2)
    answer = dimse.StoreResponse(message_id, status, of, uid)
    assert dimse.encode_command(answer, False) == encode_elements(
        {int(key): raw for key, raw in elements.items()}
    )


@given(
    st.integers(0, 0xFFFF),
    strategies.uids,
    strategies.uids | st.just(""),
    st.integers(0, 2),
    st.sampled_from(("", "MOVER", "ODD")),
    st.none() | st.integers(0, 0xFFFF),
    st.booleans(),
)
def test_a_store_has_its_elements_in_order(
    message_id: int, of: str, uid: str, priority: int, mover: str, moved_by: int | None, has_data: bool
) -> None:
    elements = {
        Element.AFFECTED_SOP_CLASS_UID: of.encode() + b"\0" * (len(of) % 2),
        Element.COMMAND_FIELD: b"\x01\0",
        Element.MESSAGE_ID: struct.pack("<H", message_id),
        Element.PRIORITY: struct.pack("<H", priority),
        Element.DATA_SET_TYPE: b"\x01\0" if has_data else b"\x01\x01",
    }
    if uid:
        elements[Element.AFFECTED_SOP_INSTANCE_UID] = uid.encode() + b"\0" * (len(uid) % 2)
    if mover:
        elements[Element.MOVE_ORIGINATOR_AE] = mover.encode() + b" " * (len(mover) % 2)
    if moved_by is not None:
        elements[Element.MOVE_ORIGINATOR_MESSAGE_ID] = struct.pack("<H", moved_by)
    request = dimse.StoreRequest(message_id, of, uid, priority, mover, moved_by)
    assert dimse.encode_command(request, has_data) == encode_elements(
        {int(key): raw for key, raw in elements.items()}
    )


@given(strategies.commands, st.booleans())
def test_every_command_is_read_back_as_written(command: dimse.Command, has_data: bool) -> None:
    assert dimse.decode_command(dimse.encode_command(command, has_data)) == (command, has_data)


@given(strategies.commands, st.none() | st.binary(max_size=2000), st.integers(8, 600))
def test_every_message_comes_together_again(
    command: dimse.Command, data: bytes | None, maximum_length: int
) -> None:
    encoded = encode_message(1, command, data, maximum_length)
    (message,) = _feed(_assembler(), encoded)
    assert (message.context_id, message.command, message.data) == (1, command, data)


@given(st.binary(max_size=3000), st.integers(8, 600))
def test_no_pdu_is_longer_than_the_peer_takes_and_all_but_the_last_fragment_are_even(
    data: bytes, maximum_length: int
) -> None:
    encoded = encode_message(1, STORE, data, maximum_length)
    position = 0
    while position < len(encoded):
        length = int.from_bytes(encoded[position + 2 : position + 6], "big")
        assert length <= maximum_length
        for value in pdu.decode_p_data(encoded[position + 6 : position + 6 + length]).values:
            assert value.is_last or len(value.fragment) % 2 == 0
        position += 6 + length


@given(st.binary(max_size=200))
def test_no_command_bytes_raise_anything_but_bad_input(data: bytes) -> None:
    with contextlib.suppress(BadInput):
        dimse.decode_command(data)


@given(st.dictionaries(st.sampled_from([int(e) for e in Element]), st.binary(max_size=8), max_size=12))
def test_no_command_elements_raise_anything_but_bad_input(elements: dict[int, bytes]) -> None:
    elements.pop(0, None)
    with contextlib.suppress(BadInput):
        dimse.decode_command(encode_elements(elements))


def test_a_large_message_leaves_in_pieces_of_whole_pdus() -> None:
    data = bytes(range(256)) * 20_000
    pieces = [b"".join(batch) for batch in message_batches(1, STORE, data, 16384)]
    assert 4 <= len(pieces) <= 6
    assert b"".join(pieces) == encode_message(1, STORE, data, 16384)
    assert all(piece[0] == pdu.PduType.P_DATA_TF for piece in pieces)


def test_a_peer_without_limit_gets_our_own_largest_pdu() -> None:
    assert fragment_bytes(0) == 128 * 1024 - 6
    with pytest.raises(BadInput):
        fragment_bytes(7)


def test_a_request_of_unknown_kind_is_known_by_its_number() -> None:
    body = encode_elements(
        {
            Element.COMMAND_FIELD: b"\x50\x01",
            Element.MESSAGE_ID: b"\x09\0",
            Element.DATA_SET_TYPE: b"\x01\x01",
            Element.AFFECTED_SOP_CLASS_UID: b"1.2.3\0",
        }
    )
    assert dimse.decode_command(body) == (dimse.UnknownRequest(0x0150, 9, "1.2.3"), False)
    answer = dimse.encode_command(dimse.UnknownResponse(0x0150, 9, 0x0211), False)
    assert struct.pack("<HHIH", 0, 0x0100, 2, 0x8150) in answer


@pytest.mark.parametrize("missing", [Element.COMMAND_FIELD, Element.MESSAGE_ID, Element.DATA_SET_TYPE])
def test_a_command_without_what_it_takes_to_answer_is_refused(missing: Element) -> None:
    elements = {
        int(Element.COMMAND_FIELD): b"\x01\0",
        int(Element.MESSAGE_ID): b"\x01\0",
        int(Element.DATA_SET_TYPE): b"\x01\x01",
    }
    del elements[missing]
    with pytest.raises(BadInput):
        dimse.decode_command(encode_elements(elements))


def test_a_store_request_without_uids_can_still_be_answered() -> None:
    elements = {
        int(Element.COMMAND_FIELD): b"\x01\0",
        int(Element.MESSAGE_ID): b"\x05\0",
        int(Element.DATA_SET_TYPE): b"\x01\0",
    }
    command, has_data = dimse.decode_command(encode_elements(elements))
    assert command == dimse.StoreRequest(5, "", "")
    assert has_data


def test_a_request_whose_uids_are_no_text_can_still_be_answered() -> None:
    elements = {
        int(Element.AFFECTED_SOP_CLASS_UID): b"1.2\xff\x80",
        int(Element.COMMAND_FIELD): b"\x30\0",
        int(Element.MESSAGE_ID): b"\x05\0",
        int(Element.DATA_SET_TYPE): b"\x01\x01",
    }
    request, _ = dimse.decode_command(encode_elements(elements))
    answer = dimse.encode_command(dimse.EchoResponse(5, 0, request.sop_class_uid), False)
    assert decode_elements(answer)[Element.AFFECTED_SOP_CLASS_UID] == b"1.2\xff\x80\0"


def test_an_error_comment_is_cut_and_kept_ascii() -> None:
    long = dimse.StoreResponse(1, 0xC000, "1.2", "1.3", "Fel på innehållet " * 8)
    command, _ = dimse.decode_command(dimse.encode_command(long, False))
    assert isinstance(command, dimse.StoreResponse)
    assert command.error_comment.startswith("Fel p? inneh?llet")
    assert len(command.error_comment) <= 64


def test_a_value_on_a_context_that_was_not_accepted_is_refused() -> None:
    with pytest.raises(BadInput, match="not accepted"):
        _assembler().begin(5, 1, 10)


def test_a_data_set_before_its_command_is_refused() -> None:
    with pytest.raises(BadInput, match="before its command"):
        _assembler().begin(1, 2, 10)


def test_two_interleaved_messages_are_refused() -> None:
    assembler = _assembler()
    command = dimse.encode_command(STORE, True)
    assembler.begin(1, 1, len(command))
    assembler.fragment(memoryview(command))
    with pytest.raises(BadInput, match="not whole"):
        assembler.begin(3, 1, 10)


def test_a_second_command_before_the_data_set_of_the_first_is_refused() -> None:
    assembler = _assembler()
    command = dimse.encode_command(STORE, True)
    assembler.begin(1, 3, len(command))
    assembler.fragment(memoryview(command))
    assert assembler.end() is None
    with pytest.raises(BadInput, match="before the data set"):
        assembler.begin(1, 1, 10)


def test_an_endless_command_set_is_refused() -> None:
    assembler = _assembler()
    for _ in range(65):
        assembler.begin(1, 1, 1000)
        assembler.fragment(memoryview(bytes(1000)))
        assembler.end()
    with pytest.raises(LimitExceeded, match="MAX_COMMAND_SET_BYTES"):
        assembler.begin(1, 1, 1000)


def test_a_data_set_over_the_limit_is_told_without_its_bytes_being_kept() -> None:
    assembler = _assembler(maximum=5000)
    (message,) = _feed(assembler, encode_message(1, STORE, bytes(5001), 1024))
    assert message.data is None
    assert message.over_limit == "MAX_INSTANCE_IN_MEMORY_BYTES"
    (message,) = _feed(assembler, encode_message(1, STORE, bytes(5000), 1024))
    assert message.data == bytes(5000)


def test_an_identifier_has_its_own_smaller_limit() -> None:
    assembler = _assembler(maximum=1 << 30)
    find = dimse.FindRequest(1, CONTEXT.abstract_syntax)
    (message,) = _feed(assembler, encode_message(1, find, bytes(MAX_IDENTIFIER_BYTES + 2), 65536))
    assert message.over_limit == "MAX_IDENTIFIER_BYTES"


class Budget:
    """A small budget that counts."""

    def __init__(self, size: int) -> None:
        self.left = size

    def reserve(self, size_bytes: int) -> bool:
        if size_bytes > self.left:
            return False
        self.left -= size_bytes
        return True

    def give_back(self, size_bytes: int) -> None:
        self.left += size_bytes


def test_arriving_data_sets_share_one_budget_and_give_it_back() -> None:
    budget = Budget(10_000)
    first, second = Assembler(budget), Assembler(budget)
    for assembler in (first, second):
        assembler.agree({1: CONTEXT})
    (message,) = _feed(first, encode_message(1, STORE, bytes(8000), 1024))
    (refused,) = _feed(second, encode_message(1, STORE, bytes(8000), 1024))
    assert refused.over_limit == "MAX_ARRIVING_BYTES"
    assert refused.reserved_bytes == 0
    assert budget.left == 2000
    budget.give_back(message.reserved_bytes)
    command = dimse.encode_command(STORE, True)
    first.begin(1, 3, len(command))
    first.fragment(memoryview(command))
    first.end()
    first.begin(1, 0, 3000)
    assert budget.left == 7000
    first.drop()
    assert budget.left == 10_000


@given(st.integers(0, 0xFFFF))
@settings(max_examples=30)
def test_any_status_can_be_described(code: int) -> None:
    for statuses in (GENERAL_STATUSES, STORE_STATUSES, FIND_STATUSES, RETRIEVE_STATUSES):
        assert describe(code, statuses).startswith(f"{code:04X}H ")


def test_every_status_names_its_clause() -> None:
    for statuses in (GENERAL_STATUSES, STORE_STATUSES, FIND_STATUSES, RETRIEVE_STATUSES):
        for code, status in statuses.items():
            assert status.code == code
            assert status.clause.startswith(("PS3.4 Table", "PS3.7 "))
