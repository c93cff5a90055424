"""Amendments laid over what was sent: the new value in its place, the old one in the Original Attributes Sequence
(0400,0561, PS3.3 C.12.1.1.9). For data sets and for their JSON. Pure: what is stored never changes.
"""

import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

from samsyn.dicom.charsets import codec_of, read_charsets
from samsyn.dicom.dictionary import vr_of
from samsyn.dicom.encoding import LATIN_1, UNICODE
from samsyn.dicom.json import attributes_to_json
from samsyn.dicom.moments import TIMEZONE_OFFSET, from_sweden, in_sweden
from samsyn.dicom.structure import Encoding, encoding_of, inflate, is_long, read_header, skip_value
from samsyn.dicom.values import CHARSET_VRS, write_values
from samsyn.limits import MAX_ELEMENTS
from samsyn.model.amendment import MODIFYING_SYSTEM, REASON, Amendment

_CHARSET: Final = 0x00080005
ORIGINAL_ATTRIBUTES: Final = 0x04000561
"""Corrections change nothing behind this sequence."""
_MODIFIED: Final = 0x04000550
_DELIMITER_BYTES: Final = 8
_DATE, _TIME = 0x00080020, 0x00080030


def overlaid(data: bytes | memoryview, transfer_syntax_uid: str, corrections: Sequence[Amendment]) -> bytes:
    """The data set with the corrections, oldest first, in its own transfer syntax.

    Elements that are not corrected keep their bytes; lengths of groups, which would be wrong, are left out. A value
    that the data set's character set can not write loses its accents there, and has them in the JSON.
    """
    syntax, encoding = encoding_of(transfer_syntax_uid)
    plain = memoryview(inflate(data) if syntax.deflated else data)
    head, position = _corrected_head(plain, encoding, corrections)
    if not syntax.deflated:
        return b"".join((head, plain[position:]))
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = machine.compress(head) + machine.compress(plain[position:]) + machine.flush()
    return deflated + b"\0" * (len(deflated) % 2)


def overlaid_head(
    data: bytes | memoryview, transfer_syntax_uid: str, corrections: Sequence[Amendment]
) -> tuple[bytes, int]:
    """What leaves instead of the beginning of a data set that is not deflated, and where in it the rest begins."""
    return _corrected_head(memoryview(data), encoding_of(transfer_syntax_uid)[1], corrections)


def _corrected_head(
    data: memoryview, encoding: Encoding, corrections: Sequence[Amendment]
) -> tuple[bytes, int]:
    elements, position = _head(data, encoding)
    _Overlay(elements, encoding).apply(corrections)
    return b"".join(elements[tag] for tag in sorted(elements)), position


def _head(data: memoryview, encoding: Encoding) -> tuple[dict[int, bytes], int]:
    """Whole elements by tag up to the Original Attributes Sequence, and where the rest begins."""
    elements: dict[int, bytes] = {}
    position, end, left = 0, len(data), MAX_ELEMENTS
    while position < end:
        tag, vr, begin, length = read_header(data, position, end, encoding)
        if tag > ORIGINAL_ATTRIBUTES:
            break
        after, left = skip_value(data, tag, vr, begin, length, end, encoding, left)
        if tag & 0xFFFF:
            elements[tag] = bytes(data[position:after])
        position = after
    return elements, position


class _Overlay:
    """One data set on its way."""

    def __init__(self, elements: dict[int, bytes], encoding: Encoding) -> None:
        self._elements = elements
        self._encoding = encoding

    def apply(self, corrections: Sequence[Amendment]) -> None:
        """Lays the corrections over the elements; those of one moment are one item of the sequence."""
        items = b""
        moment = self._text(_DATE), self._text(_TIME), self._text(TIMEZONE_OFFSET)
        for (time, source), group in groupby(_as_told(corrections, *moment), _said_by):
            before: dict[int, bytes] = {}
            for correction in group:
                tag = correction.tag
                before.setdefault(tag, self._elements.get(tag) or self._element(tag, correction.vr, b""))
                self._elements[tag] = self._element(tag, correction.vr, self._encoded(correction))
            items += self._item(_sorted(before), time, source)
        self._elements[ORIGINAL_ATTRIBUTES] = self._element(
            ORIGINAL_ATTRIBUTES, "SQ", self._items_before() + items
        )

    def _text(self, tag: int) -> str:
        element = self._elements.get(tag, b"")
        begin = read_header(element, 0, len(element), self._encoding)[2] if element else 0
        return element[begin:].decode("ascii", "replace").strip(" \0")

    def _items_before(self) -> bytes:
        element = self._elements.get(ORIGINAL_ATTRIBUTES)
        if element is None:
            return b""
        _, _, begin, length = read_header(element, 0, len(element), self._encoding)
        return element[begin:] if length == len(element) - begin else element[begin:-_DELIMITER_BYTES]

    def _item(self, modified: bytes, time: str, source: str) -> bytes:
        parts = (
            self._element(_MODIFIED, "SQ", self._wrapped(modified)),
            self._element(0x04000562, "DT", time.encode()),
            self._element(0x04000563, "LO", MODIFYING_SYSTEM.encode()),
            self._element(0x04000564, "LO", source.encode("ascii", "replace")),
            self._element(0x04000565, "CS", REASON.encode()),
        )
        return self._wrapped(b"".join(parts))

    def _wrapped(self, content: bytes) -> bytes:
        return self._encoding.item.pack(0xFFFE, 0xE000, len(content)) + content

    def _element(self, tag: int, vr: str, value: bytes) -> bytes:
        value += b" " * (len(value) % 2)
        encoding, name = self._encoding, vr.encode("ascii")
        if not encoding.explicit:
            return encoding.item.pack(tag >> 16, tag & 0xFFFF, len(value)) + value
        if is_long(name):
            return (
                encoding.element.pack(tag >> 16, tag & 0xFFFF, name, 0)
                + encoding.u32.pack(len(value))
                + value
            )
        return encoding.element.pack(tag >> 16, tag & 0xFFFF, name, len(value)) + value

    def _encoded(self, correction: Amendment) -> bytes:
        text = correction.value
        if correction.vr not in CHARSET_VRS or text.isascii():
            return write_values(correction.vr, (text,) if text else (), "<", "ascii")
        element = self._elements.get(_CHARSET)
        charsets: tuple[str, ...] = ()
        if element is not None:
            _, _, begin, _ = read_header(element, 0, len(element), self._encoding)
            charsets = read_charsets(element[begin:])
        codec = codec_of(charsets[0]) if len(charsets) == 1 else ""
        if not any(charsets):
            term = self._undeclared()
            if _fits(text, codec_of(term)):
                self._elements[_CHARSET] = self._element(_CHARSET, "CS", term.encode())
                codec = codec_of(term)
        if not codec or not _fits(text, codec):
            text, codec = _plain(text), "ascii"
        return text.encode(codec)

    def _undeclared(self) -> str:
        """The term that keeps the meaning of what stands there without one, as decode_text reads it. The default
        repertoire is a part of both."""
        for element in self._elements.values():
            tag, vr, begin, _ = read_header(element, 0, len(element), self._encoding)
            value = element[begin:]
            if (vr.decode("ascii") or vr_of(tag)) in CHARSET_VRS and not value.isascii() and _is_utf8(value):
                return UNICODE
        return LATIN_1


def _said_by(correction: Amendment) -> tuple[str, str]:
    return correction.time, correction.source


def _as_told(corrections: Sequence[Amendment], day: str, time: str, offset: str) -> Iterator[Amendment]:
    """The corrections as this object tells its moments: a study's date and time are corrected in Swedish time, and an
    object with an offset from UTC has them at that, so that one of them may move the other."""
    here_day, here_time = in_sweden(day, time, offset)
    for _, group in groupby(corrections, _said_by):
        said = {each.tag: each for each in group}
        any_of_both = said.get(_DATE) or said.get(_TIME)
        if any_of_both is not None:
            here_day = said[_DATE].value if _DATE in said else here_day
            here_time = said[_TIME].value if _TIME in said else here_time
            for tag, vr, before, value in zip(
                (_DATE, _TIME),
                ("DA", "TM"),
                (day, time),
                from_sweden(here_day, here_time, offset),
                strict=True,
            ):
                if tag in said or value != before:
                    said[tag] = replace(any_of_both, tag=tag, vr=vr, value=value)
            day, time = from_sweden(here_day, here_time, offset)
        yield from said.values()


def _sorted(elements: dict[int, bytes]) -> bytes:
    return b"".join(elements[tag] for tag in sorted(elements))


def _fits(text: str, codec: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def overlay_model(model: dict[str, Any], corrections: Sequence[Amendment]) -> None:
    """The same for the JSON of one instance, in place; its attributes stay in ascending order (PS3.18 F.2.2)."""
    items = list(_model_items(model, corrections))
    original = model.setdefault(f"{ORIGINAL_ATTRIBUTES:08X}", {"vr": "SQ"})
    original["Value"] = [*original.get("Value", []), *items]
    ordered = sorted(model.items())
    model.clear()
    model.update(ordered)


def _model_items(model: dict[str, Any], corrections: Sequence[Amendment]) -> Iterator[dict[str, Any]]:
    moment = (_told(model, _DATE), _told(model, _TIME), _told(model, TIMEZONE_OFFSET))
    for (time, source), group in groupby(_as_told(corrections, *moment), _said_by):
        before: dict[str, Any] = {}
        for correction in group:
            key = f"{correction.tag:08X}"
            before.setdefault(key, model.get(key, {"vr": correction.vr}))
            value = (correction.value,) if correction.value else ()
            model.update(attributes_to_json({correction.tag: (correction.vr, value)}))
        told = attributes_to_json(
            {
                0x04000562: ("DT", (time,)),
                0x04000563: ("LO", (MODIFYING_SYSTEM,)),
                0x04000564: ("LO", (source,)),
                0x04000565: ("CS", (REASON,)),
            }
        )
        yield {f"{_MODIFIED:08X}": {"vr": "SQ", "Value": [dict(sorted(before.items()))]}, **told}


def _told(model: dict[str, Any], tag: int) -> str:
    values = model.get(f"{tag:08X}", {}).get("Value") or ("",)
    return str(values[0] or "")
