"""Request Attributes Sequence (0040,0275) of a series: which ordered procedure steps it answers. Pure."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from samsyn.dicom.encoding import decode
from samsyn.dicom.structure import Encoding
from samsyn.dicom.transfer_syntaxes import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from samsyn.errors import BadInput, LimitExceeded
from samsyn.limits import MAX_REQUESTS
from samsyn.model.attributes import Attributes

REQUEST_ATTRIBUTES: Final = 0x00400275
STEP_ID: Final = 0x00400009
PROCEDURE_ID: Final = 0x00401001
ACCESSION: Final = 0x00080050


@dataclass(frozen=True, slots=True)
class Requested:
    """One ordered procedure step."""

    step_id: str
    """Scheduled Procedure Step ID."""
    procedure_id: str
    """Requested Procedure ID."""
    accession: str


class RequestElement(NamedTuple):
    """The element as it stands in a data set, and what it takes to read it."""

    element: bytes
    """With its header."""
    charset: bytes
    """Value of Specific Character Set."""
    encoding: Encoding


def read_requested(found: RequestElement | None) -> tuple[Requested, ...]:
    """What the element tells; nothing when it can not be read: the object is still good.

    At most limits.MAX_REQUESTS items are kept.
    """
    if found is None:
        return ()
    charset, encoding = found.charset, found.encoding
    head = encoding.item.pack(0x0008, 0x0005, len(charset))
    syntax = IMPLICIT_LITTLE
    if encoding.explicit:
        head = encoding.element.pack(0x0008, 0x0005, b"CS", len(charset))
        syntax = EXPLICIT_LITTLE if encoding.order == "<" else EXPLICIT_BIG
    try:
        attributes = decode(head + charset + found.element, syntax)
    except (BadInput, LimitExceeded):
        return ()
    items = attributes.get(REQUEST_ATTRIBUTES, ("SQ", ()))[1][:MAX_REQUESTS]
    requested = [_requested(item) for item in items if isinstance(item, dict)]
    return tuple(dict.fromkeys(each for each in requested if each != Requested("", "", "")))


def _requested(item: Attributes) -> Requested:
    def text(tag: int) -> str:
        values = item.get(tag, ("", ()))[1]
        return str(values[0]).strip() if len(values) == 1 else ""

    return Requested(text(STEP_ID), text(PROCEDURE_ID), text(ACCESSION))
