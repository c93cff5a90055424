"""Escape sequences of HL7 v2 chapter 2.7, and the delimiters that they protect."""

import re
from dataclasses import dataclass
from functools import lru_cache

from samsyn.errors import BadInput, NotSupported
from samsyn.hl7v2.charsets import Charset, decode, letters


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The characters that cut a message (MSH-1 and MSH-2). Empty = this message has no such level."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    @property
    def encoding_characters(self) -> str:
        """MSH-2 as it is written."""
        return self.component + self.repetition + self.escape + self.subcomponent + self.truncation


STANDARD = Delimiters()

_SEQUENCE = re.compile(
    r"(?P<one>[FSTREPHN])"
    r"|X(?P<hex>[0-9A-Fa-f\s]*)"
    r"|\.(?P<format>[A-Za-z]{2})\s*(?P<count>[+-]?[0-9]{0,3})"
    r"|(?P<switch>[CM][0-9A-Fa-f]{4,6})"
)
_OPEN_HEX = re.compile(r"X[0-9A-Fa-f]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")


def unescape(text: str, delimiters: Delimiters, charset: Charset) -> str:
    """The value that `text` stands for, line breaks as LF.

    Highlighting (`\\H\\`, `\\N\\`) and layout without text (`\\.in\\`) are dropped. A sequence that chapter 2
    does not know, such as a Windows path, is kept exactly as sent. Raises BadInput for hex that is no hex or
    has no end and for control characters, NotSupported for a switch of character set (`\\C..\\`, `\\M..\\`).
    """
    escape = delimiters.escape
    if text.isprintable() and (not escape or escape not in text):
        return letters(text, charset)
    if escape and escape in text:
        text = _decoded(text, delimiters, charset)
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")
    if _CONTROL.search(text):
        raise BadInput("a control character stands in the value")
    return letters(text, charset)


def escape(text: str, delimiters: Delimiters = STANDARD) -> str:
    """Plain text so that `unescape` gives it back; LF becomes `\\.br\\`."""
    if text.isalnum():
        return text
    return text.translate(_STANDARD_ESCAPES if delimiters is STANDARD else _escapes(delimiters))


@lru_cache(maxsize=64)
def _escapes(delimiters: Delimiters) -> dict[int, str]:
    mark = delimiters.escape
    table = {
        mark: f"{mark}E{mark}",
        delimiters.field: f"{mark}F{mark}",
        delimiters.component: f"{mark}S{mark}",
        delimiters.repetition: f"{mark}R{mark}",
        delimiters.subcomponent: f"{mark}T{mark}",
        "\n": f"{mark}.br{mark}",
    }
    if delimiters.truncation:
        table[delimiters.truncation] = f"{mark}P{mark}"
    return {ord(sign): sequence for sign, sequence in table.items() if sign}


_STANDARD_ESCAPES = _escapes(STANDARD)


def _decoded(text: str, delimiters: Delimiters, charset: Charset) -> str:
    mark = delimiters.escape
    parts: list[str] = []
    position = 0
    while (start := text.find(mark, position)) >= 0:
        parts.append(text[position:start])
        match = _SEQUENCE.match(text, start + 1)
        if match is not None and text.startswith(mark, match.end()):
            parts.append(_meaning(match, delimiters, charset))
            position = match.end() + 1
            continue
        if _OPEN_HEX.match(text, start + 1):
            raise BadInput("an escape sequence \\X.. has no end or holds something else than hex digits")
        parts.append(mark)
        position = start + 1
    parts.append(text[position:])
    return "".join(parts)


def _meaning(match: re.Match[str], delimiters: Delimiters, charset: Charset) -> str:
    one = match["one"]
    if one is not None:
        return _single(one, delimiters)
    digits = match["hex"]
    if digits is not None:
        try:
            return decode(bytes.fromhex(digits), charset)
        except ValueError:
            raise BadInput("an escape sequence \\X..\\ holds an odd number of hex digits") from None
    if match["switch"] is not None:
        raise NotSupported(
            "an escape sequence switches the character set inside the text; send UNICODE UTF-8"
        )
    return _layout(match["format"].lower(), match["count"])


def _single(letter: str, delimiters: Delimiters) -> str:
    return {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": delimiters.escape,
        "P": delimiters.truncation,
    }.get(letter, "")


def _layout(command: str, count: str) -> str:
    """Formatting commands of FT (chapter 2.7.6) as plain text."""
    number = max(int(count), 0) if count not in ("", "+", "-") else 1
    if command in ("br", "ce"):
        return "\n"
    if command == "sp":
        return "\n" * max(number, 1)
    if command == "sk":
        return " " * number
    return ""
