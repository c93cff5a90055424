"""What a message says about itself, read so leniently that even a broken one can be answered."""

import re
from dataclasses import dataclass

from samsyn.errors import SamsynError
from samsyn.hl7v2.charsets import Charset
from samsyn.hl7v2.escapes import unescape
from samsyn.hl7v2.parsing import read_delimiters

_LINE = re.compile(rb"[^\r\n]*")
_LONGEST = 250
_HEADER_BYTES = 8_192


@dataclass(frozen=True, slots=True)
class Header:
    """MSH in plain words; "" for whatever could not be read. No field of it is patient data by the standard."""

    sending_application: str = ""
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    sent: str = ""
    """MSH-7 as written."""
    code: str = ""
    """MSH-9.1, such as ORU."""
    trigger: str = ""
    """MSH-9.2, such as R01."""
    control_id: str = ""
    processing_id: str = ""
    version: str = ""
    accept_ack: str = ""
    """MSH-15: AL, NE, ER or SU; "" together with an empty MSH-16 means original mode."""
    application_ack: str = ""
    """MSH-16."""

    @property
    def enhanced(self) -> bool:
        """Whether the sender asks for enhanced acknowledgement (chapter 2.9.3)."""
        return bool(self.accept_ack or self.application_ack)

    @property
    def kind(self) -> str:
        """Type and trigger as people write them, such as ORU^R01."""
        return f"{self.code}^{self.trigger}" if self.trigger else self.code


def peek(raw: bytes) -> Header:
    """The header of any bytes; never raises. Bytes are read as Latin-1, so that an answer echoes them exactly."""
    beginning = raw[:_HEADER_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    line = _LINE.match(beginning)[0]  # type: ignore[index]  # it matches nothing, too
    try:
        delimiters = read_delimiters(line)
    except SamsynError:
        return Header()
    fields = line.decode("latin-1").split(delimiters.field)
    count = len(fields)

    def value(field: int, component: int = 1) -> str:
        raw_field = fields[field - 1] if field <= count else ""
        if not raw_field or raw_field.isalnum():  # the usual case: nothing to cut, to unescape or to tidy up
            return raw_field[:_LONGEST] if component == 1 else ""
        if delimiters.repetition:
            raw_field = raw_field.split(delimiters.repetition, 1)[0]
        parts = raw_field.split(delimiters.component) if delimiters.component else [raw_field]
        text = parts[component - 1] if component <= len(parts) else ""
        try:
            # A header value may itself be escaped; a broken escape is echoed as it came.
            text = unescape(text, delimiters, Charset.LATIN_1)
        except SamsynError:
            text = "".join(character for character in text if character.isprintable())
        return " ".join(text.split())[:_LONGEST]

    return Header(
        sending_application=value(3),
        sending_facility=value(4),
        receiving_application=value(5),
        receiving_facility=value(6),
        sent=value(7),
        code=value(9).upper(),
        trigger=value(9, 2).upper(),
        control_id=value(10),
        processing_id=value(11).upper(),
        version=value(12),
        accept_ack=value(15).upper(),
        application_ack=value(16).upper(),
    )
