"""The DICOM conformance statement says what the code does."""

from samsyn.dicom.sop_classes import STORAGE_CLASSES
from samsyn.endpoints.dimse.contexts import SERVICES
from samsyn.search.keys import KEYS
from tools import dicom_statement


def test_the_page_is_what_the_tables_make() -> None:
    assert dicom_statement.TARGET.read_text(encoding="utf-8") == dicom_statement.statement(), (
        "run python -m tools.dicom_statement"
    )


def test_every_class_and_key_stands_in_it() -> None:
    page = dicom_statement.statement()
    assert all(f"`{uid}`" in page for uid in (*SERVICES, *STORAGE_CLASSES))
    assert all(f"({key.tag >> 16:04X},{key.tag & 0xFFFF:04X})" in page for key in KEYS)
