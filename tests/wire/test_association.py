"""Two associations talk to each other; nobody else is needed to prove that both sides agree."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samsyn.errors import Conflict
from samsyn.wire import dimse, pdu
from samsyn.wire.assembly import AgreedContext, Message
from samsyn.wire.association import Association
from samsyn.wire.negotiation import Implementation, own_user_information
from samsyn.wire.pdu import ContextResult, ProposedContext
from samsyn.wire.upper_layer import (
    Aborted,
    AssociationAccepted,
    AssociationRejected,
    AssociationRequested,
    Released,
    ReleaseRequested,
)
from samsyn.wire.user_information import RoleSelection, UserInformation

OWN = Implementation("2.25.1", "SAMSYN_TEST")
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
REQUEST = pdu.AssociateRequest(
    "SAMSYN",
    "BENCH",
    (ProposedContext(1, CT, (EXPLICIT, IMPLICIT)), ProposedContext(3, MR, (IMPLICIT,))),
    own_user_information(OWN, (RoleSelection(CT, False, True),), 16384),
)


def choose(context: ProposedContext) -> str | ContextResult:
    if context.abstract_syntax == CT:
        return context.transfer_syntaxes[0]
    return ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED


def grant(role: RoleSelection) -> RoleSelection | None:
    return role


def move(source: Association, target: Association, step: int = 1 << 20) -> None:
    data = source.upper.take_output()
    for position in range(0, len(data), step):
        target.upper.receive(data[position : position + step])


def pair(step: int = 1 << 20) -> tuple[Association, Association]:
    """An established association: requestor, acceptor."""
    requestor, acceptor = Association(is_requestor=True), Association()
    requestor.associate(REQUEST)
    requestor.upper.connected()
    acceptor.upper.connected()
    move(requestor, acceptor, step)
    (asked,) = acceptor.take_indications()
    assert isinstance(asked, AssociationRequested)
    acceptor.accept(asked.request, choose, grant, OWN)
    move(acceptor, requestor, step)
    (accepted,) = requestor.take_indications()
    assert isinstance(accepted, AssociationAccepted)
    return requestor, acceptor


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_both_sides_agree_on_the_contexts(step: int) -> None:
    requestor, acceptor = pair(step)
    assert requestor.contexts == acceptor.contexts == {1: AgreedContext(CT, EXPLICIT)}
    assert requestor.is_established
    assert acceptor.is_established
    assert acceptor.peer_maximum_length == 16384


@given(st.binary(max_size=40_000), st.integers(1, 20_000))
@settings(max_examples=25)
def test_a_stored_object_arrives_byte_for_byte_and_is_answered(data: bytes, step: int) -> None:
    requestor, acceptor = pair()
    request = dimse.StoreRequest(1, CT, "1.2.3")
    requestor.send(1, request, data)
    move(requestor, acceptor, step)
    (message,) = acceptor.take_indications()
    assert isinstance(message, Message)
    assert message.command == request
    assert message.data == data
    acceptor.send(1, dimse.StoreResponse(1, 0, CT, "1.2.3"))
    move(acceptor, requestor, step)
    (answer,) = requestor.take_indications()
    assert isinstance(answer, Message)
    assert answer.command == dimse.StoreResponse(1, 0, CT, "1.2.3")


def test_an_orderly_end_closes_both_sides() -> None:
    requestor, acceptor = pair()
    requestor.upper.request_release()
    move(requestor, acceptor)
    assert acceptor.take_indications() == [ReleaseRequested()]
    acceptor.answer_release()
    move(acceptor, requestor)
    assert requestor.take_indications() == [Released()]
    assert requestor.upper.must_close
    acceptor.disconnected()
    assert acceptor.upper.must_close


def test_a_release_collision_ends_well() -> None:
    requestor, acceptor = pair()
    requestor.upper.request_release()
    acceptor.upper.request_release()
    first, second = requestor.upper.take_output(), acceptor.upper.take_output()
    requestor.upper.receive(second)
    acceptor.upper.receive(first)
    requestor.answer_release()
    move(requestor, acceptor)
    assert acceptor.take_indications() == [ReleaseRequested(), Released()]
    acceptor.answer_release()
    move(acceptor, requestor)
    assert requestor.take_indications() == [ReleaseRequested(), Released()]
    assert requestor.upper.must_close


def test_nothing_can_be_sent_after_an_abort() -> None:
    requestor, acceptor = pair()
    requestor.upper.abort()
    move(requestor, acceptor)
    assert acceptor.take_indications() == [Aborted(0, 0, True, "A-ABORT received")]
    with pytest.raises(Conflict):
        acceptor.send(1, dimse.EchoResponse(1, 0))


def test_a_rejection_reaches_the_requestor_with_its_reason() -> None:
    requestor, acceptor = Association(is_requestor=True), Association()
    requestor.associate(REQUEST)
    requestor.upper.connected()
    acceptor.upper.connected()
    move(requestor, acceptor)
    acceptor.reject(pdu.CALLING_AE_NOT_RECOGNIZED)
    move(acceptor, requestor)
    assert requestor.take_indications() == [AssociationRejected(pdu.AssociateReject(1, 1, 3))]


def test_a_peer_that_takes_a_few_bytes_at_a_time_is_rejected() -> None:
    requestor, acceptor = Association(is_requestor=True), Association()
    requestor.associate(
        pdu.AssociateRequest("SAMSYN", "BENCH", REQUEST.contexts, UserInformation(maximum_length=12))
    )
    requestor.upper.connected()
    acceptor.upper.connected()
    move(requestor, acceptor)
    (asked,) = acceptor.take_indications()
    assert isinstance(asked, AssociationRequested)
    acceptor.accept(asked.request, choose, grant, OWN)
    move(acceptor, requestor)
    assert requestor.take_indications() == [AssociationRejected(pdu.LOCAL_LIMIT_EXCEEDED)]


@pytest.mark.parametrize(
    "context", [pdu.AnsweredContext(5, 0, IMPLICIT), pdu.AnsweredContext(3, 0, EXPLICIT)]
)
def test_an_acceptance_of_what_was_not_proposed_is_aborted(context: pdu.AnsweredContext) -> None:
    requestor = Association(is_requestor=True)
    requestor.associate(REQUEST)
    requestor.upper.connected()
    requestor.upper.take_output()
    answer = pdu.AssociateAccept("SAMSYN", "BENCH", (context,), UserInformation(16384))
    requestor.upper.receive(pdu.encode_control(answer))
    (aborted,) = requestor.take_indications()
    assert isinstance(aborted, Aborted)
    assert requestor.upper.take_output() == pdu.encode_control(pdu.Abort(0, 0))
    assert requestor.contexts == {}
