"""The DICOMweb conformance statement says what the code does."""

from samsyn.endpoints.dicomweb.offer.resources import RESOURCES
from tools import dicomweb_statement


def test_the_page_is_what_the_tables_make() -> None:
    assert dicomweb_statement.TARGET.read_text(encoding="utf-8") == dicomweb_statement.statement(), (
        "run python -m tools.dicomweb_statement"
    )


def test_every_address_stands_in_it() -> None:
    page = dicomweb_statement.statement()
    assert all(f"| `{each.path}` |" in page for each in RESOURCES.values())
