"""A log service that speaks SOAP over HTTP on loopback, written from the contract and not from our adapter.

It checks each call against the contract's own form, stores all of a call or nothing, refuses ids that it has, and
misbehaves on demand: fault, slow, nonsense, an answer that is lost after storing, unknown elements behind.
"""

import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

from lxml import etree

from tests.post_server import PostServer, body_of, hang_up, say

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
REGISTRY = "urn:riv:itintegration:registry:1"
CALL = "urn:riv:informationsecurity:auditing:log:StoreLogResponder:2"
TYPES = "urn:riv:informationsecurity:auditing:log:2"

ACTIVITIES = ("Läsa", "Skriva", "Signera", "Utskrift", "Vidimera", "Radera", "Nödöppning")
PURPOSES = (
    "Vård och behandling",
    "Kvalitetssäkring",
    "Annan dokumentation enligt lag",
    "Statistik",
    "Administration",
    "Kvalitetsregister",
)

Field = tuple[str, bool, Any]
"""Name, whether it must be there, and what it holds: a maximum of characters, or fields of its own."""
II: list[Field] = [("root", True, 200), ("extension", False, 200)]
PROVIDER: list[Field] = [("careProviderId", True, 32), ("careProviderName", False, 256)]
UNIT: list[Field] = [("careUnitId", True, 32), ("careUnitName", False, 256)]
POST: list[Field] = [
    ("logId", True, 36),
    ("system", True, [("systemId", True, 32), ("systemName", False, 256)]),
    (
        "activity",
        True,
        [
            ("activityType", True, 256),
            ("activityLevel", False, 256),
            ("activityArgs", False, 8192),
            ("startDate", True, 40),
            ("purpose", True, 256),
        ],
    ),
    (
        "user",
        True,
        [
            ("userId", True, 32),
            ("name", False, 256),
            ("personId", False, II),
            ("assignment", False, 256),
            ("title", False, 256),
            ("careProvider", True, PROVIDER),
            ("careUnit", True, UNIT),
        ],
    ),
    (
        "resources",
        True,
        [
            (
                "resource",
                True,
                [
                    ("resourceType", True, 256),
                    ("patient", False, [("patientId", True, II), ("patientName", False, 256)]),
                    ("careProvider", True, PROVIDER),
                    ("careUnit", False, UNIT),
                ],
            )
        ],
    ),
]


def complaints(element: Any, fields: list[Field]) -> list[str]:
    """What is wrong with an element: order, missing, unknown, too long, empty."""
    found, children = [], list(element)
    for name, required, content in fields:
        child = children.pop(0) if children and children[0].tag == f"{{{TYPES}}}{name}" else None
        if child is None:
            if required:
                found.append(f"{etree.QName(element).localname}: {name} is missing")
        elif isinstance(content, int):
            if not child.text or len(child.text) > content:
                found.append(f"{name} has no text or too much")
        else:
            found += complaints(child, content)
    return found + [f"{etree.QName(each).localname} is not expected here" for each in children]


class LogService:
    """The service and what it has stored. `plan`: how it behaves at the next calls, one word for each."""

    def __init__(self) -> None:
        self.posts: list[dict[str, str]] = []
        self.calls: list[int] = []
        self.wrong: list[str] = []
        self.plan: list[str] = []
        self.refuses: str = ""
        """Posts with this text in activityArgs are refused."""
        self.lock = threading.Lock()
        self._server = PostServer(self.answer)
        self.port = self._server.port
        self.url = f"http://127.0.0.1:{self.port}/StoreLog"

    def close(self) -> None:
        self._server.close()

    @property
    def ids(self) -> list[str]:
        return [post["logId"] for post in self.posts]

    def answer(self, door: BaseHTTPRequestHandler) -> None:
        body = body_of(door)
        with self.lock:
            word = self.plan.pop(0) if self.plan else "ok"
        if word == "slow":
            time.sleep(1.5)
        if word == "down":
            hang_up(door)
            return
        if word == "fault":
            say(door, 500, _fault("Systemfel 3f2a"))
            return
        if word == "nonsense":
            say(door, 200, b"<html><body>Bad gateway</body></html>")
            return
        if word == "denied":
            say(door, 200, _result("ACCESSDENIED", "unknown consumer"))
            return
        with self.lock:
            code, text = self._store(body, door.headers)
        if word == "lost":
            hang_up(door)
            return
        say(door, 200, _result(code, text, trailing=word == "trailing"))

    def _store(self, body: bytes, headers: Any) -> tuple[str, str]:
        root = etree.fromstring(body)
        if headers.get("soapaction") != f'"{CALL}:StoreLog"' or "utf-8" not in headers["content-type"]:
            self.wrong.append("SOAPAction or content type")
        address = root.findtext(f"{{{SOAP}}}Header/{{{REGISTRY}}}LogicalAddress")
        if address != "SE165565594230-1000":
            self.wrong.append(f"LogicalAddress {address}")
        posts = root.findall(f"{{{SOAP}}}Body/{{{CALL}}}StoreLog/{{{CALL}}}log")
        self.calls.append(len(posts))
        if not 1 <= len(posts) <= 500:
            self.wrong.append(f"{len(posts)} posts")
            return "VALIDATION_ERROR", "number of posts"
        fresh = []
        for post in posts:
            self.wrong += complaints(post, POST)
            values = {etree.QName(each).localname: each.text or "" for each in post.iter() if len(each) == 0}
            if values["activityType"] not in ACTIVITIES or values["purpose"] not in PURPOSES:
                self.wrong.append(f"{values['activityType']} {values['purpose']}")
            if self.refuses and self.refuses in values.get("activityArgs", ""):
                return "VALIDATION_ERROR", "activityArgs"
            values["reader"] = post.findtext(
                f"{{{TYPES}}}user/{{{TYPES}}}careProvider/{{{TYPES}}}careProviderId"
            )
            fresh.append(values)
        known = {post["logId"] for post in self.posts}
        ids = [post["logId"] for post in fresh]
        if known & set(ids) or len(set(ids)) != len(ids):
            return "VALIDATION_ERROR", "logId is not unique"
        self.posts += fresh
        return "OK", ""


def _fault(text: str) -> bytes:
    return (
        f'<s:Envelope xmlns:s="{SOAP}"><s:Body><s:Fault><faultcode>s:Server</faultcode>'
        f"<faultstring>{text}</faultstring></s:Fault></s:Body></s:Envelope>"
    ).encode()


def _result(code: str, text: str, trailing: bool = False) -> bytes:
    extra = '<x:later xmlns:x="urn:x"><x:deep>å</x:deep></x:later>' if trailing else ""
    return (
        f'<soapenv:Envelope xmlns:soapenv="{SOAP}" xmlns:a="{CALL}" xmlns:b="{TYPES}"><soapenv:Header/>'
        f"<soapenv:Body><a:StoreLogResponse><a:result><b:resultCode>{code}</b:resultCode>"
        f"<b:resultText>{text}</b:resultText>{extra}</a:result>{extra}</a:StoreLogResponse>"
        "</soapenv:Body></soapenv:Envelope>"
    ).encode()
