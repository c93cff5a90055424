"""An engagement index that speaks SOAP over HTTP on loopback, written from the contract and not from our caller.

It checks each call against the contract's form, refuses two transactions with one key in a call, takes all of a call or
nothing, and misbehaves on demand: down, slow, fault, nonsense, an answer that is lost after storing.
"""

import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from lxml import etree

from tests.post_server import PostServer, body_of, hang_up, say

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
REGISTRY = "urn:riv:itintegration:registry:1"
CALL = "urn:riv:itintegration:engagementindex:UpdateResponder:1"
TYPES = "urn:riv:itintegration:engagementindex:1"
Row = tuple[str, str, str]


class IndexService:
    """The index and what it knows: most recent content by (number, logical address, controller)."""

    def __init__(self, port: int = 0) -> None:
        self.known: dict[Row, str] = {}
        self.history: list[tuple[Row, bool, str]] = []
        self.calls = 0
        self.wrong: list[str] = []
        self.plan: list[str] = []
        self.always = ""
        self.refuses = ""
        """A number that is refused."""
        self._form = etree.XMLSchema(etree.parse(str(Path(__file__).with_name("update_form.xsd"))))
        self._lock = threading.Lock()
        self._server = PostServer(self.answer, port)
        self.port = self._server.port
        self.url = f"http://127.0.0.1:{self.port}/Update"

    def close(self) -> None:
        self._server.close()

    def answer(self, door: BaseHTTPRequestHandler) -> None:
        body = body_of(door)
        with self._lock:
            word = self.plan.pop(0) if self.plan else self.always
            self.calls += 1
        if word == "down":
            hang_up(door)
            return
        if word == "slow":
            time.sleep(1.0)
        if word == "nonsense":
            say(door, 200, b"<html><body>Bad gateway</body></html>")
            return
        if word == "fault":
            say(door, 500, _fault())
            return
        if word == "no result":
            say(door, 200, _result("KANSKE"))
            return
        with self._lock:
            code = self._store(body, door.headers)
        if word == "lost":
            hang_up(door)
            return
        say(door, 200, _result("INFO" if word == "info" and code == "OK" else code))

    def _store(self, body: bytes, headers: Any) -> str:
        root = etree.fromstring(body)
        if headers.get("soapaction") != f'"{CALL}:Update"':
            self.wrong.append("SOAPAction")
        if root.findtext(f"{{{SOAP}}}Header/{{{REGISTRY}}}LogicalAddress") != "5565594230":
            self.wrong.append("LogicalAddress")
        update = root.find(f"{{{SOAP}}}Body")[0]
        if not self._form.validate(etree.ElementTree(update)):
            self.wrong.append(str(self._form.error_log.last_error))
            return "ERROR"
        fresh = []
        for transaction in update:
            told = {
                etree.QName(each).localname: each.text or "" for each in transaction.iter() if len(each) == 0
            }
            expected = {
                "serviceDomain": "riv:clinicalprocess:healthcond:actoutcome",
                "categorization": "und-bdi-ure",
                "businessObjectInstanceIdentifier": "NA",
                "clinicalProcessInterestId": "NA",
                "sourceSystem": told["logicalAddress"],
            }
            self.wrong += [f"{name} {told[name]}" for name, text in expected.items() if told[name] != text]
            row = (told["registeredResidentIdentification"], told["logicalAddress"], told["dataController"])
            if self.refuses and self.refuses == row[0]:
                return "ERROR"
            fresh.append((row, told["deleteFlag"] == "true", told["mostRecentContent"]))
        if len({row for row, _, _ in fresh}) != len(fresh):
            self.wrong.append("EI002: one key twice in a call")
            return "ERROR"
        for row, gone, recent in fresh:
            self.history.append((row, gone, recent))
            if gone:
                self.known.pop(row, None)
            else:
                self.known[row] = recent
        return "OK"


def _fault() -> bytes:
    return (
        f'<s:Envelope xmlns:s="{SOAP}"><s:Body><s:Fault><faultcode>s:Server</faultcode>'
        "<faultstring>EI000: tekniskt fel</faultstring></s:Fault></s:Body></s:Envelope>"
    ).encode()


def _result(code: str) -> bytes:
    return (
        f'<s:Envelope xmlns:s="{SOAP}"><s:Body><u:UpdateResponse xmlns:u="{CALL}"><u:resultCode>{code}</u:resultCode>'
        "<u:comment>191212121212 å</u:comment></u:UpdateResponse></s:Body></s:Envelope>"
    ).encode()
