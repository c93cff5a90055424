"""What a message says about itself, read so leniently that even a broken one can be answered."""

import re

from samsyn.errors import SamsynError
from samsyn.hl7v2.charsets import Charset
from samsyn.hl7v2.escapes import unescape
from samsyn.hl7v2.parsing import read_delimiters
from samsyn.model.value import value

_LINE = re.compile(rb"[^\r\n]*")
_LONGEST = 250
_HEADER_BYTES = 8_192
_FIELDS = 16
_SAID = (2, 3, 4, 5, 6, 9, 10, 11, 14, 15)
"""Where MSH-3 to 7, 10, 11, 12, 15 and 16 stand in a header that is cut at its separators."""


@value
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
    text = line.decode("latin-1")
    fields = text.split(delimiters.field)
    fields += [""] * (_FIELDS - len(fields))
    told = text[len(fields[0]) + len(fields[1]) + 2 :]
    is_plain = (
        told.isprintable()
        and not (delimiters.repetition and delimiters.repetition in told)
        and not (delimiters.escape and delimiters.escape in told)
    )

    def value(raw_field: str, component: int = 1) -> str:
        if is_plain and " " not in raw_field:  # the usual case: nothing to unescape or to tidy up
            if not delimiters.component or delimiters.component not in raw_field:
                return raw_field[:_LONGEST] if component == 1 else ""
            parts = raw_field.split(delimiters.component, component)
            return parts[component - 1][:_LONGEST]
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

    sending, of, receiving, at, sent, control_id, processing, version, accept, application = [
        value(fields[place]) if fields[place] else "" for place in _SAID
    ]
    return Header(
        sending,
        of,
        receiving,
        at,
        sent,
        value(fields[8]).upper(),
        value(fields[8], 2).upper(),
        control_id,
        processing.upper(),
        version,
        accept.upper(),
        application.upper(),
    )
