"""PDUs and user information items: what is written is read back, what contradicts itself is refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.errors import BadInput, LimitExceeded
from samsyn.limits import MAX_CONTROL_PDU_BYTES, MAX_PDU_BYTES
from samsyn.wire import pdu
from samsyn.wire import user_information as ui
from tests.wire import strategies

VERIFICATION = pdu.ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",))
REQUEST = pdu.AssociateRequest("SAMSYN", "BENCH", (VERIFICATION,), ui.UserInformation(16384, "1.2.3", "V"))


@given(strategies.control_pdus)
def test_every_control_pdu_is_read_back_as_written(value: pdu.ControlPdu) -> None:
    data = pdu.encode_control(value)
    assert int.from_bytes(data[2:6], "big") == len(data) - 6
    pdu.check_header(data[0], len(data) - 6, MAX_PDU_BYTES)
    assert pdu.decode_control(data[0], data[6:]) == value


@given(strategies.user_information)
def test_user_information_is_read_back_as_written(value: ui.UserInformation) -> None:
    assert ui.decode_user_information(ui.encode_user_information(value)) == value


@given(strategies.p_data)
def test_p_data_is_read_back_as_written(value: pdu.PData) -> None:
    data = pdu.encode_p_data(value)
    assert data[0] == pdu.PduType.P_DATA_TF
    assert pdu.decode_p_data(data[6:]) == value


@given(st.integers(0, 8), st.binary(max_size=300))
def test_no_bytes_raise_anything_but_bad_input(kind: int, data: bytes) -> None:
    for decode in (lambda: pdu.decode_control(kind, data), lambda: pdu.decode_p_data(data)):
        with contextlib.suppress(BadInput):
            decode()


@given(st.binary(max_size=100))
def test_fixed_fields_and_any_items_raise_nothing_but_bad_input(tail: bytes) -> None:
    head = pdu.encode_control(REQUEST)[6:74]
    for kind in (1, 2):
        with contextlib.suppress(BadInput):
            pdu.decode_control(kind, head + tail)


@given(st.data())
def test_a_cut_association_request_is_refused(data: st.DataObject) -> None:
    whole = pdu.encode_control(REQUEST)[6:]
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(BadInput):
        pdu.decode_control(1, whole[:cut])


def test_items_of_unknown_type_are_ignored() -> None:
    data = pdu.encode_control(REQUEST)[6:] + ui.encode_item(0x77, b"later edition")
    assert pdu.decode_control(1, data) == REQUEST


def test_uids_padded_by_a_peer_are_the_same_uids() -> None:
    padded = pdu.ProposedContext(1, "1.2.840.10008.1.1\0", ("1.2.840.10008.1.2 ",))
    request = pdu.AssociateRequest("SAMSYN", "BENCH", (padded,), REQUEST.user)
    read = pdu.decode_control(1, pdu.encode_control(request)[6:])
    assert isinstance(read, pdu.AssociateRequest)
    assert read.contexts == (VERIFICATION,)


def test_a_refused_context_may_leave_its_transfer_syntax_out() -> None:
    content = bytes((3, 0, 3, 0))
    answer = pdu.AssociateAccept("A", "B", (pdu.AnsweredContext(1, 0, "1.2"),), REQUEST.user)
    data = pdu.encode_control(answer)[6:] + ui.encode_item(0x21, content)
    read = pdu.decode_control(2, data)
    assert isinstance(read, pdu.AssociateAccept)
    assert read.contexts[1] == pdu.AnsweredContext(3, 3, "")


@pytest.mark.parametrize("context_id", [0, 2, 254])
def test_an_even_context_id_is_refused(context_id: int) -> None:
    context = pdu.ProposedContext(context_id, "1.2", ("1.3",))
    data = pdu.encode_control(pdu.AssociateRequest("A", "B", (context,), REQUEST.user))
    with pytest.raises(BadInput, match="even"):
        pdu.decode_control(1, data[6:])


def test_a_context_id_that_comes_twice_is_refused() -> None:
    data = pdu.encode_control(pdu.AssociateRequest("A", "B", (VERIFICATION, VERIFICATION), REQUEST.user))
    with pytest.raises(BadInput, match="twice"):
        pdu.decode_control(1, data[6:])


@pytest.mark.parametrize("drop", ["application context", "user information", "contexts"])
def test_a_request_without_an_obligatory_item_is_refused(drop: str) -> None:
    whole = pdu.encode_control(REQUEST)[6:]
    kinds = {"application context": 0x10, "user information": 0x50, "contexts": 0x20}
    items = [item for item in ui.split_items(whole[68:], "test") if item[0] != kinds[drop]]
    data = whole[:68] + b"".join(ui.encode_item(*item) for item in items)
    with pytest.raises(BadInput):
        pdu.decode_control(1, data)


def test_a_user_identity_is_never_shown_by_repr() -> None:
    identity = ui.UserIdentityRequest(2, True, b"anna", b"secret")
    assert "secret" not in repr(ui.UserInformation(identity_request=identity))
    assert "anna" not in repr(identity)


@pytest.mark.parametrize("kind", range(1, 8))
def test_a_length_of_four_gibibytes_is_refused_from_the_header(kind: int) -> None:
    with pytest.raises((BadInput, LimitExceeded)):
        pdu.check_header(kind, 0xFFFFFFFF, MAX_PDU_BYTES)


def test_the_limits_themselves_are_taken_and_one_more_is_not() -> None:
    pdu.check_header(1, MAX_CONTROL_PDU_BYTES, 0)
    pdu.check_header(4, MAX_PDU_BYTES, MAX_PDU_BYTES)
    with pytest.raises(LimitExceeded):
        pdu.check_header(1, MAX_CONTROL_PDU_BYTES + 1, 0)
    with pytest.raises(LimitExceeded):
        pdu.check_header(4, MAX_PDU_BYTES + 1, MAX_PDU_BYTES)


@pytest.mark.parametrize("title", ["SEVENTEEN_LETTERS", "ÅKERMAN"])
def test_an_impossible_ae_title_is_not_written(title: str) -> None:
    with pytest.raises(BadInput):
        pdu.encode_control(pdu.AssociateRequest(title, "B", (VERIFICATION,), REQUEST.user))
