"""How nodes of one cluster prove to each other who they are: codes over path, time and bytes (HMAC-SHA256). Pure."""

import hmac
from typing import Final

TIME_HEADER: Final = "samsyn-time"
"""Seconds since 1970, as the asking node has them."""
CODE_HEADER: Final = "samsyn-code"


def code_of(key: bytes, path: str, told: str, body: bytes = b"") -> str:
    """What proves that one of us speaks: of a question without a body, of an answer with it."""
    return hmac.digest(key, f"{path} {told} ".encode() + body, "sha256").hex()


def is_ours(key: bytes, path: str, told: str, code: str, now: float, leeway_s: float) -> bool:
    """Whether a question comes from a node that knows the key, just now."""
    if not (told.isascii() and told.isdecimal()) or len(told) > 12 or abs(now - int(told)) > leeway_s:
        return False
    return hmac.compare_digest(code_of(key, path, told).encode(), code.encode("utf-8", "replace"))
