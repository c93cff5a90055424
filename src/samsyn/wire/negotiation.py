"""What two sides agree on when an association opens (PS3.8 9.3.3, PS3.7 D.3.3), as pure functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from samsyn.errors import BadInput
from samsyn.limits import MAX_OUTSTANDING_OPERATIONS, MAX_PDU_BYTES
from samsyn.wire.assembly import AgreedContext, fragment_bytes
from samsyn.wire.pdu import (
    AnsweredContext,
    AssociateAccept,
    AssociateRequest,
    ContextResult,
    ProposedContext,
)
from samsyn.wire.user_information import (
    AsynchronousOperations,
    ExtendedNegotiation,
    RoleSelection,
    UserInformation,
)

Choose: TypeAlias = Callable[[ProposedContext], str | ContextResult]
"""Judges one proposed context: the transfer syntax to use, or why it is refused."""
Grant: TypeAlias = Callable[[RoleSelection], RoleSelection | None]
"""Judges one proposed role: what is granted, or None for the default roles."""
Extend: TypeAlias = Callable[[ExtendedNegotiation], ExtendedNegotiation | None]
"""Judges one SOP class extended negotiation: what is answered, or None for no answer (PS3.7 D.3.3.5)."""


def nothing_extended(_: ExtendedNegotiation) -> ExtendedNegotiation | None:
    """The answer of who supports no extended negotiation."""
    return None


@dataclass(frozen=True, slots=True)
class Implementation:
    """How we name ourselves to peers (PS3.7 D.3.3.2); the version name has at most 16 characters."""

    class_uid: str
    version_name: str


def own_user_information(
    own: Implementation,
    roles: tuple[RoleSelection, ...] = (),
    maximum_length: int = MAX_PDU_BYTES,
    extended: tuple[ExtendedNegotiation, ...] = (),
    window: AsynchronousOperations | None = None,
) -> UserInformation:
    """What we tell about ourselves. Without a window one message at a time is agreed (PS3.7 D.3.3.3)."""
    return UserInformation(
        maximum_length=maximum_length,
        implementation_class_uid=own.class_uid,
        implementation_version=own.version_name,
        asynchronous_operations=window,
        roles=roles,
        extended=extended,
    )


def check_maximum_length(length: int, smallest: int) -> None:
    """BadInput when a peer takes so little at a time that sending to it costs more headers than data."""
    if length and length < smallest:
        raise BadInput(f"maximum length {length} is below {smallest}")
    fragment_bytes(length)


def agreed_window(asked: AsynchronousOperations | None) -> AsynchronousOperations | None:
    """What of a window we take: so many requests of the peer may be unanswered, and one of ours. None = it asked for
    none, and none is answered. Zero is any number."""
    if asked is None:
        return None
    return AsynchronousOperations(
        min(asked.invoked or MAX_OUTSTANDING_OPERATIONS, MAX_OUTSTANDING_OPERATIONS), 1
    )


def answer_request(
    request: AssociateRequest,
    choose: Choose,
    grant: Grant,
    own: Implementation,
    extend: Extend = nothing_extended,
) -> tuple[AssociateAccept, dict[int, AgreedContext]]:
    """The acceptance of a request and the contexts that are agreed by it."""
    answers: list[AnsweredContext] = []
    agreed: dict[int, AgreedContext] = {}
    for context in request.contexts:
        choice = choose(context)
        if isinstance(choice, ContextResult):
            # A refused context still carries one transfer syntax item, whose value counts for nothing.
            answers.append(AnsweredContext(context.context_id, choice, context.transfer_syntaxes[0]))
        else:
            answers.append(AnsweredContext(context.context_id, ContextResult.ACCEPTANCE, choice))
            agreed[context.context_id] = AgreedContext(context.abstract_syntax, choice)
    roles = tuple(granted for role in request.user.roles if (granted := grant(role)) is not None)
    extended = tuple(told for each in request.user.extended if (told := extend(each)) is not None)
    answer = AssociateAccept(
        request.called_ae,
        request.calling_ae,
        tuple(answers),
        own_user_information(
            own, roles, extended=extended, window=agreed_window(request.user.asynchronous_operations)
        ),
    )
    return answer, agreed


def agreed_contexts(request: AssociateRequest, answer: AssociateAccept) -> Mapping[int, AgreedContext]:
    """What our request and the peer's acceptance agree on.

    BadInput when the peer accepts a context or a transfer syntax that was not proposed.
    """
    proposed = {context.context_id: context for context in request.contexts}
    agreed: dict[int, AgreedContext] = {}
    for context in answer.contexts:
        if context.result != ContextResult.ACCEPTANCE:
            continue
        offer = proposed.get(context.context_id)
        if offer is None or context.transfer_syntax not in offer.transfer_syntaxes:
            raise BadInput(f"presentation context {context.context_id} was accepted otherwise than proposed")
        agreed[context.context_id] = AgreedContext(offer.abstract_syntax, context.transfer_syntax)
    return agreed
