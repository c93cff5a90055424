"""Hypothesis strategies for PDUs and DIMSE messages."""

from hypothesis import strategies as st

from samsyn.wire import dimse
from samsyn.wire import user_information as ui
from samsyn.wire.pdu import (
    Abort,
    AnsweredContext,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    PData,
    PresentationDataValue,
    ProposedContext,
    ReleaseRequest,
    ReleaseResponse,
)

uids = st.from_regex(r"[0-2]\.[0-9]{1,8}(\.[1-9][0-9]{0,7}){0,4}", fullmatch=True)
texts = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=16)
bytes16 = st.integers(0, 0xFFFF)
small = st.binary(max_size=40)
KNOWN_ITEMS = range(0x51, 0x5A)

windows = st.builds(ui.AsynchronousOperations, bytes16, bytes16)
roles = st.builds(ui.RoleSelection, uids, st.booleans(), st.booleans())
extended = st.builds(ui.ExtendedNegotiation, uids, small)
common = st.builds(ui.CommonExtendedNegotiation, uids, uids, st.lists(uids, max_size=3).map(tuple))
identities = st.builds(ui.UserIdentityRequest, st.integers(1, 5), st.booleans(), small, small)
unknown = st.builds(ui.UnknownItem, st.integers(0, 255).filter(lambda kind: kind not in KNOWN_ITEMS), small)
user_information = st.builds(
    ui.UserInformation,
    st.integers(0, 0xFFFFFFFF),
    uids | st.just(""),
    texts | st.just(""),
    st.none() | windows,
    st.lists(roles, max_size=3).map(tuple),
    st.lists(extended, max_size=3).map(tuple),
    st.lists(common, max_size=3).map(tuple),
    st.none() | identities,
    st.none() | small,
    st.lists(unknown, max_size=3).map(tuple),
)

context_ids = st.integers(0, 127).map(lambda number: 2 * number + 1)
proposed = st.builds(ProposedContext, context_ids, uids, st.lists(uids, min_size=1, max_size=4).map(tuple))
answered = st.builds(
    lambda context_id, result, uid: AnsweredContext(context_id, result, "" if result else uid),
    context_ids,
    st.sampled_from([int(result) for result in ContextResult]),
    uids,
)


def _contexts(items):
    return st.lists(items, min_size=1, max_size=6, unique_by=lambda context: context.context_id).map(tuple)


requests = st.builds(AssociateRequest, texts, texts, _contexts(proposed), user_information, uids, bytes16)
accepts = st.builds(AssociateAccept, texts, texts, _contexts(answered), user_information, uids, bytes16)
byte = st.integers(0, 255)
rejects = st.builds(AssociateReject, byte, byte, byte)
aborts = st.builds(Abort, byte, byte)
control_pdus = st.one_of(
    requests, accepts, rejects, aborts, st.just(ReleaseRequest()), st.just(ReleaseResponse())
)
values = st.builds(PresentationDataValue, byte, st.booleans(), st.booleans(), st.binary(max_size=60))
p_data = st.builds(PData, st.lists(values, min_size=1, max_size=4).map(tuple))

comments = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=64)
counts = st.none() | bytes16
commands = st.one_of(
    st.builds(dimse.EchoRequest, bytes16, uids),
    st.builds(dimse.EchoResponse, bytes16, bytes16, uids, comments),
    st.builds(dimse.StoreRequest, bytes16, uids, uids, st.integers(0, 2), texts | st.just(""), counts),
    st.builds(dimse.StoreResponse, bytes16, bytes16, uids, uids, comments),
    st.builds(dimse.FindRequest, bytes16, uids, st.integers(0, 2)),
    st.builds(dimse.FindResponse, bytes16, bytes16, uids, comments),
    st.builds(dimse.GetRequest, bytes16, uids, st.integers(0, 2)),
    st.builds(dimse.GetResponse, bytes16, bytes16, uids, comments, counts, counts, counts, counts),
    st.builds(dimse.MoveRequest, bytes16, uids, texts, st.integers(0, 2)),
    st.builds(dimse.MoveResponse, bytes16, bytes16, uids, comments, counts, counts, counts, counts),
    st.builds(dimse.CancelRequest, bytes16),
    st.builds(dimse.ActionRequest, bytes16, uids, uids, bytes16),
    st.builds(dimse.ActionResponse, bytes16, bytes16, uids, uids, counts, comments),
    st.builds(dimse.EventReportRequest, bytes16, uids, uids, bytes16),
    st.builds(dimse.CreateRequest, bytes16, uids, uids),
    st.builds(dimse.CreateResponse, bytes16, bytes16, uids, uids, comments),
    st.builds(dimse.EventReportResponse, bytes16, bytes16, uids, uids, counts, comments),
)
