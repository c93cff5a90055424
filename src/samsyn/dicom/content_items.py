"""Reading the items of a structured report's content tree (PS3.3 C.17.3) from the DICOM JSON model. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from samsyn.model.person_name import PersonName


def items(parent: Mapping[str, Any], tag: str) -> Iterator[Mapping[str, Any]]:
    """The items of a sequence."""
    for item in parent.get(tag, {}).get("Value", ()):
        if isinstance(item, dict):
            yield item


def first_item(parent: Mapping[str, Any], tag: str) -> Mapping[str, Any]:
    """The first one; an empty one when there is none."""
    return next(items(parent, tag), {})


def text_of(parent: Mapping[str, Any], tag: str) -> str:
    """The first value as text; "" when there is none."""
    values = parent.get(tag, {}).get("Value", ())
    if not values or isinstance(values[0], dict):
        return ""
    return f"{values[0]:.12g}" if isinstance(values[0], float) else str(values[0]).strip()


def meaning(code: Mapping[str, Any]) -> str:
    """What a coded concept is called, else its code."""
    return text_of(code, "00080104") or text_of(code, "00080100")


def person_name(parent: Mapping[str, Any], tag: str) -> str:
    """`Given Family` of a PN."""
    values = parent.get(tag, {}).get("Value", ())
    alphabetic = values[0].get("Alphabetic", "") if values and isinstance(values[0], dict) else ""
    name = PersonName.of(str(alphabetic))
    return " ".join(part for part in (name.given, name.family) if part)
