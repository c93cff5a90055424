"""UIDs as PS3.5 chapter 9 defines them; a UID that passed here is safe as a key and as part of a name."""

import re

from samsyn.errors import BadInput
from samsyn.limits import MAX_UID_CHARACTERS

IMPLEMENTATION_CLASS_UID = "2.25.169930329445626665921537204647875268996"
"""Names Samsyn in file meta information and associations (PS3.7 D.3.3.2)."""
IMPLEMENTATION_VERSION_NAME = "SAMSYN_1"
"""At most 16 characters (PS3.7 D.3.3.2.3)."""

_FORM = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*", re.ASCII)


def is_uid(text: str) -> bool:
    """Whether the text is a legal UID: at most 64 of digits and dots, no component with leading zero."""
    return len(text) <= MAX_UID_CHARACTERS and _FORM.fullmatch(text) is not None


def read_uid(value: bytes | memoryview, name: str) -> str:
    """The UID in an element's value, without its padding (one NUL by PS3.5 9.1; spaces are forgiven).

    BadInput when it is missing or illegal. The message has `name`, never the bytes: they may be anything.
    """
    try:
        text = str(value, "ascii").rstrip("\0 ")
    except UnicodeDecodeError:
        text = ""
    if len(text) > MAX_UID_CHARACTERS or _FORM.fullmatch(text) is None:
        raise BadInput(f"{name} is missing or is not a UID")
    return text
