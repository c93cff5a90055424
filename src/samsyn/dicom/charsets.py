"""Text values to str by Specific Character Set (PS3.5 6.1, PS3.3 C.12.1.1.2). Never raises on odd text.

What can not be decoded becomes U+FFFD: the stored bytes stay the truth, a view of them must not fail.
"""

import re
from functools import lru_cache
from types import MappingProxyType

_KNOWN_BYTES = 64
"""Longer values are not remembered: four terms are rare."""
DEFAULT_CHARSETS: tuple[str, ...] = ()
"""No Specific Character Set."""

_CODECS = MappingProxyType(
    {
        "6": "ascii",
        "13": "shift_jis",
        "58": "gb2312",
        "87": "iso2022_jp",
        "100": "latin-1",
        "101": "iso8859-2",
        "109": "iso8859-3",
        "110": "iso8859-4",
        "126": "iso8859-7",
        "127": "iso8859-6",
        "138": "iso8859-8",
        "144": "iso8859-5",
        "148": "iso8859-9",
        "149": "euc_kr",
        "159": "iso2022_jp_2",
        "166": "iso8859-11",
        "192": "utf-8",
        "203": "iso8859-15",
    }
)
_TERM = re.compile(r"ISO[ _](?:2022[ _])?IR[ _]?(\d+)", re.ASCII)
_ESCAPE = re.compile(rb"\x1b(\$?[()\-]?[A-Za-z])")
_DELIMITER = re.compile(r"([\\^=\r\n\f\t])")

_G0_DOUBLE = MappingProxyType({b"$B": ("iso2022_jp", b"\x1b$B"), b"$(D": ("iso2022_jp_2", b"\x1b$(D")})
_G0_SINGLE = frozenset({b"(B", b"(J"})
_G1 = MappingProxyType(
    {
        b"-A": "latin-1",
        b"-B": "iso8859-2",
        b"-C": "iso8859-3",
        b"-D": "iso8859-4",
        b"-F": "iso8859-7",
        b"-G": "iso8859-6",
        b"-H": "iso8859-8",
        b"-L": "iso8859-5",
        b"-M": "iso8859-9",
        b"-T": "iso8859-11",
        b"-b": "iso8859-15",
        b")I": "shift_jis",
        b"$)A": "gb2312",
        b"$)C": "euc_kr",
    }
)


def codec_of(term: str) -> str:
    """Python's codec for one defined term; "" for an unknown one (the default repertoire is meant)."""
    term = term.strip(" \0")
    if term in ("GB18030", "GBK"):
        return term.lower()
    match = _TERM.fullmatch(term)
    return _CODECS.get(match[1], "") if match else ""


def read_charsets(value: bytes | memoryview) -> tuple[str, ...]:
    """The value of (0008,0005) as terms; an empty first value stands for the default repertoire."""
    return _known_terms(bytes(value)) if len(value) <= _KNOWN_BYTES else _terms(value)


@lru_cache(maxsize=64)
def _known_terms(value: bytes) -> tuple[str, ...]:
    return _terms(value)


def _terms(value: bytes | memoryview) -> tuple[str, ...]:
    text = str(value, "latin-1").strip(" \0")
    return tuple(term.strip() for term in text.split("\\")) if text else DEFAULT_CHARSETS


def decode_text(value: bytes | memoryview, charsets: tuple[str, ...]) -> str:
    """The whole value, all its `\\`-separated parts, as str, untrimmed.

    Without a charset (or with an unknown one) bytes above 127 are read as UTF-8 if they are valid UTF-8, else
    as Latin-1: senders in Sweden leave the charset out and send either, and both readings never coincide.
    """
    raw = bytes(value)
    if b"\x1b" in raw and charsets not in (("ISO_IR 192",), ("GB18030",), ("GBK",)):
        return _decode_with_escapes(raw, codec_of(charsets[0]) if charsets else "")
    if raw.isascii():
        return raw.decode("ascii")
    codec = codec_of(charsets[0]) if charsets else ""
    if codec in ("", "ascii"):
        return _decode_undeclared(raw)
    return raw.decode(codec, "replace")


def _decode_undeclared(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _decode_with_escapes(raw: bytes, initial: str) -> str:
    """Code extension (PS3.5 6.1.2.5): escapes choose G0 and G1, delimiters fall back to value 1."""
    pieces: list[str] = []
    double: tuple[str, bytes] | None = None
    high = initial
    position = 0
    for match in _ESCAPE.finditer(raw):
        text, high = _decode_run(raw[position : match.start()], double, high, initial)
        pieces.append(text)
        position = match.end()
        code = match[1]
        if code in _G0_DOUBLE:
            double = _G0_DOUBLE[code]
        elif code in _G0_SINGLE:
            double = None
        elif code in _G1:
            high = _G1[code]
        else:
            pieces.append("\ufffd")
    pieces.append(_decode_run(raw[position:], double, high, initial)[0])
    return "".join(pieces)


def _decode_run(raw: bytes, double: tuple[str, bytes] | None, high: str, initial: str) -> tuple[str, str]:
    """The text of a run without escapes, and the G1 codec that holds after it."""
    if double is not None:
        codec, escape = double
        return (escape + raw).decode(codec, "replace"), high
    if raw.isascii():
        text = raw.decode("ascii")
        return text, (initial if initial and _DELIMITER.search(text) else high)
    if not initial or initial == high or not re.search(rb"[\\^=\r\n\f\t]", raw):
        return (raw.decode(high, "replace") if high else _decode_undeclared(raw)), high
    # The delimiters are ASCII and no G1 set of the table has bytes under 128, so splitting bytes is safe.
    first, rest = re.split(rb"(?=[\\^=\r\n\f\t])", raw, maxsplit=1)
    return first.decode(high, "replace") + rest.decode(initial, "replace"), initial
