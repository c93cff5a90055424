"""The state machine is PS3.8 Table 9-10, cell by cell, and the machine does what its action says."""

from collections.abc import Callable

import pytest

from samsyn.errors import Conflict
from samsyn.wire import pdu
from samsyn.wire.association_table import NEXT_STATES, TRANSITIONS, Action, Event, State
from samsyn.wire.upper_layer import (
    Aborted,
    AssociationAccepted,
    AssociationRejected,
    AssociationRequested,
    Released,
    ReleaseRequested,
    UpperLayer,
)
from samsyn.wire.user_information import UserInformation

TABLE_9_10 = """
       Sta1 Sta2 Sta3 Sta4 Sta5 Sta6 Sta7 Sta8 Sta9 Sta10 Sta11 Sta12 Sta13
Evt1   AE-1 .    .    .    .    .    .    .    .    .     .     .     .
Evt2   .    .    .    AE-2 .    .    .    .    .    .     .     .     .
Evt3   .    AA-1 AA-8 .    AE-3 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-6
Evt4   .    AA-1 AA-8 .    AE-4 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-6
Evt5   AE-5 .    .    .    .    .    .    .    .    .     .     .     .
Evt6   .    AE-6 AA-8 .    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-7
Evt7   .    .    AE-7 .    .    .    .    .    .    .     .     .     .
Evt8   .    .    AE-8 .    .    .    .    .    .    .     .     .     .
Evt9   .    .    .    .    .    DT-1 .    AR-7 .    .     .     .     .
Evt10  .    AA-1 AA-8 .    AA-8 DT-2 AR-6 AA-8 AA-8 AA-8  AA-8  AA-8  AA-6
Evt11  .    .    .    .    .    AR-1 .    .    .    .     .     .     .
Evt12  .    AA-1 AA-8 .    AA-8 AR-2 AR-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-6
Evt13  .    AA-1 AA-8 .    AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3  AA-8  AA-6
Evt14  .    .    .    .    .    .    .    AR-4 AR-9 .     .     AR-4  .
Evt15  .    .    AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1  AA-1  AA-1  .
Evt16  .    AA-2 AA-3 .    AA-3 AA-3 AA-3 AA-3 AA-3 AA-3  AA-3  AA-3  AA-2
Evt17  .    AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4  AA-4  AA-4  AR-5
Evt18  .    AA-2 .    .    .    .    .    .    .    .     .     .     AA-2
Evt19  .    AA-1 AA-8 .    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-7
"""

USER = UserInformation(16384, "1.2.3")
REQUEST = pdu.AssociateRequest("SAMSYN", "BENCH", (pdu.ProposedContext(1, "1.2", ("1.3",)),), USER)
ANSWER = pdu.AssociateAccept("SAMSYN", "BENCH", (pdu.AnsweredContext(1, 0, "1.3"),), USER)
REJECTION = pdu.CALLED_AE_NOT_RECOGNIZED
P_DATA = pdu.encode_p_data(pdu.PData((pdu.PresentationDataValue(1, False, True, b"abcd"),)))


class Collector:
    """A sink that keeps whole values."""

    def __init__(self) -> None:
        self.got = b""

    def begin(self, context_id: int, control: int, length: int) -> None:
        self.got = b""

    def fragment(self, data: memoryview) -> None:
        self.got += bytes(data)

    def end(self) -> object:
        return self.got


def _expected() -> dict[tuple[Event, State], str]:
    header, *rows = TABLE_9_10.strip().splitlines()
    columns = header.split()
    cells: dict[tuple[Event, State], str] = {}
    for row in rows:
        name, *actions = row.split()
        for column, action in zip(columns, actions, strict=True):
            cells[Event(int(name[3:])), State(int(column[3:]))] = action
    return cells


EXPECTED = _expected()


def _reach(state: State) -> UpperLayer:
    """A machine that was led into `state` by legal steps."""
    is_requestor = state in (
        State.CONNECTING,
        State.AWAITING_ANSWER,
        State.COLLISION_REQUESTOR_LOCAL,
        State.COLLISION_REQUESTOR_REMOTE,
    )
    machine = UpperLayer(Collector(), is_requestor=is_requestor)
    if state == State.IDLE:
        return machine
    if is_requestor:
        machine.associate(REQUEST)
        if state == State.CONNECTING:
            return machine
        machine.connected()
        if state != State.AWAITING_ANSWER:
            machine.receive(pdu.encode_control(ANSWER))
            machine.request_release()
            machine.receive(pdu.encode_control(pdu.ReleaseRequest()))
            if state == State.COLLISION_REQUESTOR_REMOTE:
                machine.answer_release()
    else:
        machine.connected()
        _lead_acceptor(machine, state)
    assert machine.state == state
    machine.take_output()
    machine.take_indications()
    return machine


def _lead_acceptor(machine: UpperLayer, state: State) -> None:
    if state == State.AWAITING_REQUEST:
        return
    machine.receive(pdu.encode_control(REQUEST))
    if state == State.AWAITING_LOCAL_ANSWER:
        return
    if state == State.AWAITING_CLOSE:
        machine.reject(REJECTION)
        return
    machine.accept(ANSWER)
    if state == State.AWAITING_LOCAL_RELEASE:
        machine.receive(pdu.encode_control(pdu.ReleaseRequest()))
    elif state != State.ESTABLISHED:
        machine.request_release()
        if state != State.RELEASING:
            machine.receive(pdu.encode_control(pdu.ReleaseRequest()))
            if state == State.COLLISION_ACCEPTOR_LOCAL:
                machine.receive(pdu.encode_control(pdu.ReleaseResponse()))


def _pdu_event(data: bytes) -> Callable[[UpperLayer], None]:
    return lambda machine: machine.receive(data)


APPLY: dict[Event, Callable[[UpperLayer], None]] = {
    Event.ASSOCIATE_REQUESTED: lambda machine: machine.associate(REQUEST),
    Event.TRANSPORT_CONFIRMED: lambda machine: machine.connected(),
    Event.ASSOCIATE_AC: _pdu_event(pdu.encode_control(ANSWER)),
    Event.ASSOCIATE_RJ: _pdu_event(pdu.encode_control(REJECTION)),
    Event.TRANSPORT_INDICATED: lambda machine: machine.connected(),
    Event.ASSOCIATE_RQ: _pdu_event(pdu.encode_control(REQUEST)),
    Event.ACCEPTED_LOCALLY: lambda machine: machine.accept(ANSWER),
    Event.REJECTED_LOCALLY: lambda machine: machine.reject(REJECTION),
    Event.DATA_REQUESTED: lambda machine: machine.send([P_DATA]),
    Event.P_DATA: _pdu_event(P_DATA),
    Event.RELEASE_REQUESTED: lambda machine: machine.request_release(),
    Event.RELEASE_RQ: _pdu_event(pdu.encode_control(pdu.ReleaseRequest())),
    Event.RELEASE_RP: _pdu_event(pdu.encode_control(pdu.ReleaseResponse())),
    Event.RELEASE_ANSWERED: lambda machine: machine.answer_release(),
    Event.ABORT_REQUESTED: lambda machine: machine.abort(),
    Event.ABORT: _pdu_event(pdu.encode_control(pdu.Abort(0, 0))),
    Event.TRANSPORT_CLOSED: lambda machine: machine.disconnected(),
    Event.ARTIM_EXPIRED: lambda machine: machine.artim_expired(),
    Event.INVALID_PDU: _pdu_event(b"\x09\0\0\0\0\0"),
}

RELEASE_RQ, RELEASE_RP = pdu.encode_control(pdu.ReleaseRequest()), pdu.encode_control(pdu.ReleaseResponse())
SENDS: dict[str, bytes] = {
    "AE-2": pdu.encode_control(REQUEST),
    "AE-7": pdu.encode_control(ANSWER),
    "AE-8": pdu.encode_control(REJECTION),
    "DT-1": P_DATA,
    "AR-1": RELEASE_RQ,
    "AR-4": RELEASE_RP,
    "AR-7": P_DATA,
    "AR-9": RELEASE_RP,
    "AA-1": pdu.encode_control(pdu.Abort(0, 0)),
    "AA-7": pdu.encode_control(pdu.Abort(2, 2)),
}
INDICATES: dict[str, type] = {
    "AE-3": AssociationAccepted,
    "AE-4": AssociationRejected,
    "AE-6": AssociationRequested,
    "DT-2": bytes,
    "AR-2": ReleaseRequested,
    "AR-3": Released,
    "AR-6": bytes,
    "AR-8": ReleaseRequested,
    "AR-10": Released,
    "AA-3": Aborted,
    "AA-4": Aborted,
    "AA-8": Aborted,
}
STARTS_ARTIM = {"AE-5", "AE-8", "AR-4", "AA-1", "AA-8"}


def test_the_table_is_the_standards() -> None:
    mine = {cell: TRANSITIONS[cell].value if cell in TRANSITIONS else "." for cell in EXPECTED}
    assert mine == EXPECTED
    assert len(TRANSITIONS) == 123


def test_another_implementation_has_the_same_table() -> None:
    fsm = pytest.importorskip("pynetdicom.fsm")
    theirs = {cell: action.replace("_", "-") for cell, action in fsm.TRANSITION_TABLE.items()}
    assert {(f"Evt{e}", f"Sta{s}"): str(action) for (e, s), action in TRANSITIONS.items()} == theirs


def test_every_action_is_used_and_leads_somewhere() -> None:
    assert set(TRANSITIONS.values()) == set(Action) == set(NEXT_STATES)


@pytest.mark.parametrize(("event", "state"), sorted(EXPECTED), ids=lambda part: f"{part.name.lower()}")
def test_the_machine_does_every_cell(event: Event, state: State) -> None:
    machine = _reach(state)
    artim_before = machine.artim_running
    action = EXPECTED[event, state]
    if event in (Event.TRANSPORT_CONFIRMED, Event.TRANSPORT_INDICATED) and state in (
        State.IDLE,
        State.CONNECTING,
    ):
        # Both come by the same call; which of them it is follows from the side.
        action = {State.IDLE: "AE-5", State.CONNECTING: "AE-2"}[state]
    if action == ".":
        _check_blank(machine, event, state)
        return
    APPLY[event](machine)
    assert machine.state in NEXT_STATES[Action(action)]
    output = machine.take_output()
    if action == "AA-8":
        assert output[0] == pdu.PduType.ABORT
        assert output[8:] == bytes((2, 1 if event == Event.INVALID_PDU else 2))
    else:
        assert output == SENDS.get(action, b"")
    indications = machine.take_indications()
    if action in INDICATES:
        assert [type(indication) for indication in indications] == [INDICATES[action]]
    elif action == "AA-1" and event != Event.ABORT_REQUESTED:
        assert [type(indication) for indication in indications] == [Aborted]
    else:
        assert indications == []
    if action in STARTS_ARTIM:
        assert machine.artim_running
    elif action in ("AE-6", "AR-5", "AA-2", "AA-5") or machine.state == State.IDLE:
        assert not machine.artim_running
    else:
        assert machine.artim_running == artim_before
    closes_garbage = event == Event.INVALID_PDU and state == State.AWAITING_REQUEST
    assert machine.must_close == (machine.state == State.IDLE or closes_garbage)


def _check_blank(machine: UpperLayer, event: Event, state: State) -> None:
    """A blank cell: bytes are ignored, local mistakes are refused, and nothing is sent either way."""
    quiet = {
        Event.ABORT_REQUESTED,
        Event.TRANSPORT_CLOSED,
        Event.ARTIM_EXPIRED,
        *(e for e in Event if e in (3, 4, 6, 10, 12, 13, 16, 19)),
    }
    if event in quiet:
        APPLY[event](machine)
    else:
        with pytest.raises(Conflict):
            APPLY[event](machine)
    assert machine.state == state
    assert machine.take_output() == b""
    assert machine.take_indications() == []


def test_a_provider_refusal_of_the_request_waits_for_the_close() -> None:
    machine = _reach(State.AWAITING_REQUEST)
    stranger = pdu.AssociateRequest("A", "B", REQUEST.contexts, USER, application_context="1.2.3")
    machine.receive(pdu.encode_control(stranger))
    assert machine.state == State.AWAITING_CLOSE
    assert machine.take_output() == pdu.encode_control(pdu.APPLICATION_CONTEXT_NOT_SUPPORTED)
    assert machine.artim_running


def test_a_request_of_another_protocol_version_is_rejected_by_the_provider() -> None:
    machine = _reach(State.AWAITING_REQUEST)
    later = pdu.AssociateRequest("A", "B", REQUEST.contexts, USER, protocol_version=2)
    machine.receive(pdu.encode_control(later))
    assert machine.take_output() == pdu.encode_control(pdu.PROTOCOL_VERSION_NOT_SUPPORTED)
