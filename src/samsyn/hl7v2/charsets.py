"""Character sets of messages (MSH-18, HL7 table 0211), decided by declaration and source, never by guess.

å ä ö must survive from the RIS to the last reader. So: MSH-18 is believed when it says something; when it is
empty (or says ASCII, which has no å) the source's default holds; bytes that contradict the declaration are
refused with a sentence, because either reading would be a guess.
"""

import re
from enum import StrEnum

from samsyn.errors import BadInput, NotSupported


class Charset(StrEnum):
    """What a source's bytes mean. The value is the word used in profiles."""

    LATIN_1 = "8859/1"
    LATIN_9 = "8859/15"
    UTF_8 = "UNICODE UTF-8"
    WINDOWS_1252 = "windows-1252"
    SWEDISH_7BIT = "SEN 850200"
    """Old Swedish 7-bit (SEN 850200 annex B): } { | ] [ \\ stand for å ä ö Å Ä Ö."""


_CODECS = {
    # Bytes 80-9F are control characters in 8859-1 that no text holds; senders that declare 8859/1 and write
    # dashes and quotation marks from a Windows machine mean Windows-1252, which agrees in every other byte.
    Charset.LATIN_1: "cp1252",
    Charset.LATIN_9: "iso8859-15",
    Charset.UTF_8: "utf-8",
    Charset.WINDOWS_1252: "cp1252",
    Charset.SWEDISH_7BIT: "ascii",
}

_DECLARED = {
    "8859/1": Charset.LATIN_1,
    "8859-1": Charset.LATIN_1,
    "ISO8859-1": Charset.LATIN_1,
    "ISO-8859-1": Charset.LATIN_1,
    "ISO 8859-1": Charset.LATIN_1,
    "ISO 8859/1": Charset.LATIN_1,
    "ISO IR100": Charset.LATIN_1,
    "ISO_IR 100": Charset.LATIN_1,
    "LATIN1": Charset.LATIN_1,
    "8859/15": Charset.LATIN_9,
    "ISO-8859-15": Charset.LATIN_9,
    "UNICODE UTF-8": Charset.UTF_8,
    "UNICODE": Charset.UTF_8,
    "UTF-8": Charset.UTF_8,
    "UTF8": Charset.UTF_8,
    "ISO_IR 192": Charset.UTF_8,
    "WINDOWS-1252": Charset.WINDOWS_1252,
    "CP1252": Charset.WINDOWS_1252,
    "SEN 850200": Charset.SWEDISH_7BIT,
    "SEN850200": Charset.SWEDISH_7BIT,
}
_SAYS_NOTHING = frozenset(("", "ASCII", "US-ASCII", "ISO IR6", "ISO_IR 6"))
_SWEDISH_IN_UTF8 = re.compile(rb"\xc3[\xa5\xa4\xb6\x85\x84\x96\xa9]")
"""å ä ö Å Ä Ö é."""
_ONLY_IN_1252 = bytes(range(0x80, 0xA0))
_SWEDISH_LETTERS = str.maketrans("}{|][\\", "åäöÅÄÖ")


def charset_for(declared: str, default: Charset, forced: Charset | None = None) -> Charset:
    """The character set of a message whose MSH-18 (first repetition) is `declared`.

    `forced` is for a source that is known to declare wrongly. Raises NotSupported for another character set:
    reading it as something else would change letters.
    """
    if forced is not None:
        return forced
    word = " ".join(declared.upper().split())
    if word in _SAYS_NOTHING:
        return default
    known = _DECLARED.get(word)
    if known is None:
        raise NotSupported(
            "MSH-18: this character set is not read here; use 8859/1, 8859/15 or UNICODE UTF-8"
        )
    return known


def decode(raw: bytes, charset: Charset) -> str:
    """The bytes as text; for SWEDISH_7BIT still in ASCII, since `|` may be a delimiter (see `letters`).

    Raises BadInput when a byte is no character of the set, or when bytes declared as a Latin set are UTF-8 in whole
    or in part: nothing but well-formed UTF-8 beyond ASCII, or a Swedish letter in UTF-8 among Latin ones (it would
    read as Ã with another sign after it, which no Swedish text holds).
    """
    codec = _CODECS[charset]
    if codec == "cp1252" and len(raw.translate(None, _ONLY_IN_1252)) == len(raw):
        codec = "latin-1"  # the same letters then, eight times as fast
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError as error:
        raise BadInput(
            f"byte 0x{raw[error.start]:02X} at offset {error.start} is no character of {charset.value}: "
            "mend MSH-18 or the sender's encoding, or set the source's character set"
        ) from None
    if charset not in (Charset.UTF_8, Charset.SWEDISH_7BIT) and holds_utf8(raw):
        raise BadInput(
            f"the bytes are UTF-8, at least in part, but the message is to be read as {charset.value}: "
            "mend MSH-18 to UNICODE UTF-8, or set the source's character set"
        )
    return text


def letters(text: str, charset: Charset) -> str:
    """A value after delimiters and escapes are gone, with the letters of old Swedish 7-bit put in."""
    return text.translate(_SWEDISH_LETTERS) if charset is Charset.SWEDISH_7BIT else text


def encode(text: str, charset: Charset) -> bytes:
    """Text as bytes of the set; what the set lacks becomes `?`. Used for answers, which are plain ASCII."""
    return text.encode(_CODECS[charset], errors="replace")


def holds_utf8(raw: bytes) -> bool:
    """Whether bytes that are said to be of a Latin set are UTF-8, in whole or in part; see `decode`."""
    if raw.isascii():
        return False
    if b"\xc3" in raw and _SWEDISH_IN_UTF8.search(raw):
        return True
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
