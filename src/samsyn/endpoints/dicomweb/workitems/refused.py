"""Transactions of the worklist service that Samsyn does not do, and how each is answered (PS3.18 11.6, 11.7, 11.10 to
11.12, 8.10.4). Pure.

Samsyn is an origin server of the SOP classes UPS Push (create, retrieve, request cancellation) and UPS Query (search).
It does the work itself and so owns every workitem from its beginning: nobody else claims, changes or ends one.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from samsyn.endpoints.dicomweb.workitems.workitem import CANCELED, COMPLETED, IN_PROGRESS

WORKLIST: Final = "1.2.840.10008.5.1.4.34.5"
FILTERED_WORKLIST: Final = "1.2.840.10008.5.1.4.34.5.1"
"""The well-known UIDs that stand for all workitems, and for those that a filter finds (PS3.4 CC.2.3.1)."""
_MISSING: Final = "The Transaction UID is missing."
_INCORRECT: Final = "The Transaction UID is incorrect."
_INCONSISTENT: Final = "The submitted request is inconsistent with the state of the UPS Instance."
_UNCLAIMED: Final = "The target URI did not reference a claimed Workitem."
_NOT_NOW: Final = "The submitted request is inconsistent with the current state of the Workitem."


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP status and the text of the Warning that goes with it."""

    status: int
    warning: str


@dataclass(frozen=True, slots=True)
class NotOffered:
    """One transaction."""

    path: str
    name: str
    answer: str
    """What is answered, for the description of the service."""


NOT_OFFERED: Final = MappingProxyType(
    {
        ("workitems", 1, "POST"): NotOffered(
            "/workitems/{workitem}", "Update Workitem", "409, or 400 once the work is begun or over"
        ),
        ("workitems/state", 1, "PUT"): NotOffered(
            "/workitems/{workitem}/state",
            "Change Workitem State",
            "400 without the Transaction UID of the workitem's owner, which is Samsyn; 409 for what claims it",
        ),
        ("workitems/subscribers", 2, "POST"): NotOffered(
            "/workitems/{workitem}/subscribers/{aetitle}", "Subscribe", "403"
        ),
        ("workitems/subscribers", 2, "DELETE"): NotOffered(
            "/workitems/{workitem}/subscribers/{aetitle}", "Unsubscribe", "404: there is no subscription"
        ),
        ("workitems/subscribers/suspend", 2, "POST"): NotOffered(
            "/workitems/{workitem}/subscribers/{aetitle}/suspend",
            "Suspend Global Subscription",
            "404: there is no subscription",
        ),
        ("subscribers", 1, "GET"): NotOffered(
            "/subscribers/{aetitle}", "Open Notification Connection", "501"
        ),
    }
)
"""(form, depth, method) -> transaction; each answer has a Warning 299 that says why."""


def state_change(requested: str, transaction_uid: str) -> Refusal:
    """How a request to change a workitem's state is refused (PS3.18 table 11.7.3-1, PS3.4 table CC.1.1-2)."""
    if not transaction_uid:
        return Refusal(400, _MISSING)
    if requested == IN_PROGRESS:
        return Refusal(409, _INCONSISTENT)  # claimed by Samsyn already, or over
    if requested in (COMPLETED, CANCELED):
        return Refusal(400, _INCORRECT)
    return Refusal(400, _INCONSISTENT)


def update(current: str, transaction_uid: str) -> Refusal:
    """How a change of a workitem's attributes is refused (PS3.18 table 11.6.3-1)."""
    if current in (COMPLETED, CANCELED):
        return Refusal(400, _NOT_NOW)
    if current == IN_PROGRESS:
        return Refusal(400, _INCORRECT if transaction_uid else _MISSING)
    return Refusal(409, _UNCLAIMED)


def subscription(form: str, method: str, uid: str) -> Refusal:
    """How what has to do with notifications is refused (PS3.18 tables 11.10.3-1, 11.11.3-1, 11.12.3-1)."""
    if form == "subscribers":
        return Refusal(501, "Notification connections are not supported.")
    if form.endswith("/suspend") or method == "DELETE":
        return Refusal(404, "There is no such Subscription: Subscriptions are not supported.")
    if uid == FILTERED_WORKLIST:
        return Refusal(403, "Filtered Worklist Subscriptions are not supported.")
    return Refusal(403, "Subscriptions are not supported.")
