"""The DICOM upper layer's state machine as data (PS3.8 9.2, Tables 9-1 to 9-10)."""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final


class State(IntEnum):
    """States of PS3.8 Tables 9-1 to 9-5; the number is the standard's (Sta1 ...)."""

    IDLE = 1
    AWAITING_REQUEST = 2
    """Transport connection open, A-ASSOCIATE-RQ not here yet."""
    AWAITING_LOCAL_ANSWER = 3
    """A-ASSOCIATE-RQ is here, the local user has not accepted or rejected it yet."""
    CONNECTING = 4
    AWAITING_ANSWER = 5
    """A-ASSOCIATE-RQ sent."""
    ESTABLISHED = 6
    RELEASING = 7
    """A-RELEASE-RQ sent."""
    AWAITING_LOCAL_RELEASE = 8
    """A-RELEASE-RQ received, the local user has not answered yet."""
    COLLISION_REQUESTOR_LOCAL = 9
    COLLISION_ACCEPTOR_REMOTE = 10
    COLLISION_REQUESTOR_REMOTE = 11
    COLLISION_ACCEPTOR_LOCAL = 12
    AWAITING_CLOSE = 13


class Event(IntEnum):
    """Events of PS3.8 Table 9-10; the number is the standard's (Evt1 ...)."""

    ASSOCIATE_REQUESTED = 1
    TRANSPORT_CONFIRMED = 2
    ASSOCIATE_AC = 3
    ASSOCIATE_RJ = 4
    TRANSPORT_INDICATED = 5
    ASSOCIATE_RQ = 6
    ACCEPTED_LOCALLY = 7
    REJECTED_LOCALLY = 8
    DATA_REQUESTED = 9
    P_DATA = 10
    RELEASE_REQUESTED = 11
    RELEASE_RQ = 12
    RELEASE_RP = 13
    RELEASE_ANSWERED = 14
    ABORT_REQUESTED = 15
    ABORT = 16
    TRANSPORT_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU = 19


class Action(StrEnum):
    """Actions of PS3.8 Tables 9-6 to 9-9."""

    AE_1 = "AE-1"
    AE_2 = "AE-2"
    AE_3 = "AE-3"
    AE_4 = "AE-4"
    AE_5 = "AE-5"
    AE_6 = "AE-6"
    AE_7 = "AE-7"
    AE_8 = "AE-8"
    DT_1 = "DT-1"
    DT_2 = "DT-2"
    AR_1 = "AR-1"
    AR_2 = "AR-2"
    AR_3 = "AR-3"
    AR_4 = "AR-4"
    AR_5 = "AR-5"
    AR_6 = "AR-6"
    AR_7 = "AR-7"
    AR_8 = "AR-8"
    AR_9 = "AR-9"
    AR_10 = "AR-10"
    AA_1 = "AA-1"
    AA_2 = "AA-2"
    AA_3 = "AA-3"
    AA_4 = "AA-4"
    AA_5 = "AA-5"
    AA_6 = "AA-6"
    AA_7 = "AA-7"
    AA_8 = "AA-8"


NEXT_STATES: Final[Mapping[Action, tuple[State, ...]]] = MappingProxyType(
    {
        Action.AE_1: (State.CONNECTING,),
        Action.AE_2: (State.AWAITING_ANSWER,),
        Action.AE_3: (State.ESTABLISHED,),
        Action.AE_4: (State.IDLE,),
        Action.AE_5: (State.AWAITING_REQUEST,),
        Action.AE_6: (State.AWAITING_LOCAL_ANSWER, State.AWAITING_CLOSE),
        Action.AE_7: (State.ESTABLISHED,),
        Action.AE_8: (State.AWAITING_CLOSE,),
        Action.DT_1: (State.ESTABLISHED,),
        Action.DT_2: (State.ESTABLISHED,),
        Action.AR_1: (State.RELEASING,),
        Action.AR_2: (State.AWAITING_LOCAL_RELEASE,),
        Action.AR_3: (State.IDLE,),
        Action.AR_4: (State.AWAITING_CLOSE,),
        Action.AR_5: (State.IDLE,),
        Action.AR_6: (State.RELEASING,),
        Action.AR_7: (State.AWAITING_LOCAL_RELEASE,),
        Action.AR_8: (State.COLLISION_REQUESTOR_LOCAL, State.COLLISION_ACCEPTOR_REMOTE),
        Action.AR_9: (State.COLLISION_REQUESTOR_REMOTE,),
        Action.AR_10: (State.COLLISION_ACCEPTOR_LOCAL,),
        Action.AA_1: (State.AWAITING_CLOSE,),
        Action.AA_2: (State.IDLE,),
        Action.AA_3: (State.IDLE,),
        Action.AA_4: (State.IDLE,),
        Action.AA_5: (State.IDLE,),
        Action.AA_6: (State.AWAITING_CLOSE,),
        Action.AA_7: (State.AWAITING_CLOSE,),
        Action.AA_8: (State.AWAITING_CLOSE,),
    }
)
"""Where each action leads. AE-6: refused by the provider leads to the second state. AR-8: the requestor of
the association goes to the first state, the acceptor to the second."""

_ROWS: Final[Mapping[Event, Mapping[int, Action]]] = MappingProxyType(
    {
        Event.ASSOCIATE_REQUESTED: {1: Action.AE_1},
        Event.TRANSPORT_CONFIRMED: {4: Action.AE_2},
        Event.ASSOCIATE_AC: {
            2: Action.AA_1,
            3: Action.AA_8,
            5: Action.AE_3,
            **dict.fromkeys(range(6, 13), Action.AA_8),
            13: Action.AA_6,
        },
        Event.ASSOCIATE_RJ: {
            2: Action.AA_1,
            3: Action.AA_8,
            5: Action.AE_4,
            **dict.fromkeys(range(6, 13), Action.AA_8),
            13: Action.AA_6,
        },
        Event.TRANSPORT_INDICATED: {1: Action.AE_5},
        Event.ASSOCIATE_RQ: {
            2: Action.AE_6,
            3: Action.AA_8,
            **dict.fromkeys(range(5, 13), Action.AA_8),
            13: Action.AA_7,
        },
        Event.ACCEPTED_LOCALLY: {3: Action.AE_7},
        Event.REJECTED_LOCALLY: {3: Action.AE_8},
        Event.DATA_REQUESTED: {6: Action.DT_1, 8: Action.AR_7},
        Event.P_DATA: {
            2: Action.AA_1,
            3: Action.AA_8,
            5: Action.AA_8,
            6: Action.DT_2,
            7: Action.AR_6,
            **dict.fromkeys(range(8, 13), Action.AA_8),
            13: Action.AA_6,
        },
        Event.RELEASE_REQUESTED: {6: Action.AR_1},
        Event.RELEASE_RQ: {
            2: Action.AA_1,
            3: Action.AA_8,
            5: Action.AA_8,
            6: Action.AR_2,
            7: Action.AR_8,
            **dict.fromkeys(range(8, 13), Action.AA_8),
            13: Action.AA_6,
        },
        Event.RELEASE_RP: {
            2: Action.AA_1,
            3: Action.AA_8,
            5: Action.AA_8,
            6: Action.AA_8,
            7: Action.AR_3,
            8: Action.AA_8,
            9: Action.AA_8,
            10: Action.AR_10,
            11: Action.AR_3,
            12: Action.AA_8,
            13: Action.AA_6,
        },
        Event.RELEASE_ANSWERED: {8: Action.AR_4, 9: Action.AR_9, 12: Action.AR_4},
        Event.ABORT_REQUESTED: {
            3: Action.AA_1,
            4: Action.AA_2,
            **dict.fromkeys(range(5, 13), Action.AA_1),
        },
        Event.ABORT: {
            2: Action.AA_2,
            3: Action.AA_3,
            **dict.fromkeys(range(5, 13), Action.AA_3),
            13: Action.AA_2,
        },
        Event.TRANSPORT_CLOSED: {
            2: Action.AA_5,
            **dict.fromkeys(range(3, 13), Action.AA_4),
            13: Action.AR_5,
        },
        Event.ARTIM_EXPIRED: {2: Action.AA_2, 13: Action.AA_2},
        Event.INVALID_PDU: {
            2: Action.AA_1,
            3: Action.AA_8,
            **dict.fromkeys(range(5, 13), Action.AA_8),
            13: Action.AA_7,
        },
    }
)

TRANSITIONS: Final[Mapping[tuple[Event, State], Action]] = MappingProxyType(
    {(event, State(state)): action for event, row in _ROWS.items() for state, action in row.items()}
)
"""PS3.8 Table 9-10. A pair that is absent can not happen or is the local user's mistake."""
