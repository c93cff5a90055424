"""Every error of the house has a status and a failure reason at this door."""

from samsyn import errors
from samsyn.endpoints.dicomweb.errors_table import FAILURE_REASON, STATUS, status_of
from samsyn.errors import SamsynError

EVERY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SamsynError)]


def test_the_tables_are_total() -> None:
    assert set(STATUS) == set(EVERY)
    assert set(FAILURE_REASON) == {kind.code for kind in EVERY}


def test_statuses_are_refusals_and_reasons_fit_their_attribute() -> None:
    assert all(400 <= status < 600 for status in STATUS.values())
    assert all(0 < reason <= 0xFFFF for reason in FAILURE_REASON.values())


def test_a_derived_error_has_the_status_of_its_base() -> None:
    class Special(errors.NotFound):
        pass

    assert status_of(Special()) == 404
