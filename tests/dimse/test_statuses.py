"""The table from errors to status is total, and no status tells more than it may."""

import inspect

import pytest

from samsyn import errors
from samsyn.endpoints.dimse.statuses import HELD, STATUSES, comment, failure, unrecognized
from samsyn.endpoints.dimse.storage import status_of
from samsyn.model.sender import Receipt
from samsyn.wire import dimse
from samsyn.wire.dimse_status import (
    FIND_STATUSES,
    RETRIEVE_STATUSES,
    STORE_STATUSES,
    StatusKind,
    describe,
    status_kind,
)

EVERY_ERROR = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.SamsynError)
]
REQUESTS: list[dimse.Request] = [
    dimse.EchoRequest(1),
    dimse.StoreRequest(1, "1.2", "1.3"),
    dimse.FindRequest(1, "1.2"),
    dimse.GetRequest(1, "1.2"),
    dimse.MoveRequest(1, "1.2", "SINK"),
    dimse.ActionRequest(1, "1.2", "1.3", 1),
    dimse.EventReportRequest(1, "1.2", "1.3", 1),
    dimse.UnknownRequest(0x0140, 1, "1.2"),
]


def test_the_table_holds_every_error_and_nothing_else() -> None:
    assert set(STATUSES) == set(EVERY_ERROR)


@pytest.mark.parametrize("kind", EVERY_ERROR)
def test_no_error_is_told_as_success_warning_or_pending(kind: type[errors.SamsynError]) -> None:
    codes = STATUSES[kind]
    for code, statuses in (
        (codes.store, STORE_STATUSES),
        (codes.find, FIND_STATUSES),
        (codes.retrieve, RETRIEVE_STATUSES),
    ):
        assert status_kind(code) is StatusKind.FAILURE
        assert "failure" not in describe(code, statuses).split(" ")[1:2], (
            "the code is in the standard's table"
        )


@pytest.mark.parametrize("kind", EVERY_ERROR)
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_every_request_gets_a_response_of_its_kind(
    kind: type[errors.SamsynError], request_: dimse.Request
) -> None:
    response = failure(request_, kind("är för långt " * 9))
    assert response is not None
    expected = type(request_).__name__.replace("Request", "Response")
    assert type(response).__name__ == expected
    assert response.message_id == 1
    assert len(response.error_comment) <= 64
    assert response.error_comment.isascii()
    dimse.encode_command(response, False)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_an_operation_that_is_not_there_is_told(request_: dimse.Request) -> None:
    response = unrecognized(request_)
    assert response is not None
    assert response.status in (0x0211, 0x0122)


def test_a_cancel_has_no_response() -> None:
    assert failure(dimse.CancelRequest(1), errors.BadInput()) is None


def test_only_a_receipt_that_stored_is_success() -> None:
    assert status_of(Receipt(1, "stored"))[0] == 0
    assert status_of(Receipt(1, "already-stored"))[0] == 0
    for reason in (*HELD, "", "something-new"):
        assert status_kind(status_of(Receipt(1, "held", reason))[0]) is StatusKind.FAILURE
    assert status_kind(status_of(Receipt(1, "something-new"))[0]) is StatusKind.FAILURE


def test_a_comment_without_detail_is_the_public_sentence() -> None:
    assert comment(errors.NotFound()) == "There is nothing here."
