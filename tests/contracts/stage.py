"""A whole Samsyn on loopback with texts of two sources, and a consumer that asks by the contract over real HTTP."""

import asyncio
import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from lxml import etree
from pydicom.uid import ExplicitVRLittleEndian

from samsyn.endpoints.contracts import names
from samsyn.ingest.receive import Arrival
from samsyn.model.sender import Sender
from tests.doors.doors import imaging_outcome
from tests.doors.instance import Instance, running
from tests.hl7v2.messages import message, msh, obr, obx, pid, segment
from tests.reports.house import image

PERSONNUMMER = "1.2.752.129.2.1.3.1"
NORD, KLARA = "SE9990000001-0001", "SE9990000002-0001"
NORD_SYSTEM, KLARA_SYSTEM = "SE9990000001-E001", "SE9990000002-E001"
RIS = Sender("NORDRIS", NORD, "SE9990000001-1001", "2.25.9990000001.1", "2.25.9990000001.2")
KLARA_RIS = Sender("KLARARIS", KLARA, "SE9990000002-1001", "2.25.9990000002.1", "2.25.9990000002.2")
TOLVAN = "191212121212"
SPACES = {"s": names.SOAP, "t": names.RESPONDER, "c": names.CORE}


def forms() -> etree.XMLSchema:
    """The hand-written form of the contract's answers."""
    folder = resources.files("samsyn.endpoints.contracts") / "schemas"
    return etree.XMLSchema(etree.parse(str(folder / names.RESPONDER_FORM)))


@dataclass
class Answer:
    """What came back."""

    status: int
    root: Any
    raw: bytes

    @property
    def body(self) -> Any:
        return self.root.find("s:Body", SPACES)[0]

    @property
    def outcomes(self) -> list[Any]:
        return list(self.body.findall("t:imagingOutcome", SPACES))

    def text(self, path: str, of: Any = None) -> str | None:
        """Text at a path of core names, of the body or one outcome."""
        steps = "/".join(f"c:{step}" for step in path.split("/"))
        found = (of if of is not None else self.body.find("t:imagingOutcome", SPACES)).find(steps, SPACES)
        return found.text if found is not None else None

    def result(self, name: str) -> str | None:
        return self.body.findtext(f"t:result/c:{name}", None, SPACES)

    @property
    def fault(self) -> tuple[str, str]:
        return self.body.findtext("faultcode"), self.body.findtext("faultstring")


class Stage:
    """The instance with a way to file texts and to ask."""

    def __init__(self, made: Instance) -> None:
        self.made = made
        self.number = 0

    def file(self, raw: bytes, sender: Sender = RIS, profile: str = "standard") -> None:
        filed = self.made.run(self.made.server._filing.file_message(sender, profile, raw, "test"))
        assert filed.receipt.outcome == "stored", filed.verdict
        self.made.server._gatekeeper.forget_views()

    def report(
        self,
        status: str = "F",
        text: str = "Inga tecken till pneumoni.",
        sender: Sender = RIS,
        person: str = pid(),
        **fields: str,
    ) -> None:
        """A report; fields of OBR as f22=…"""
        self.number += 1
        extra = {int(key[1:]): value for key, value in fields.items()}
        raw = message(
            msh("ORU^R01", f"C{self.number}", f3=sender.name),
            person,
            obr({25: status} | extra),
            obx(text, status),
        )
        self.file(raw, sender)

    def order(self, sender: Sender = RIS, person: str = pid(), **fields: str) -> None:
        self.number += 1
        orc = {1: "NW", 2: "R100", 9: "20240314120000", 12: "D1^Lindgren^Eva"}
        detail = {4: "CTTHX^DT thorax^L", 13: "Hosta i tre veckor", 18: "ACC300", 31: "^Pneumoni?"}
        detail |= {int(key[1:]): value for key, value in fields.items()}
        raw = message(
            msh("ORM^O01", f"C{self.number}", sent="20240314120000"),
            person,
            segment("ORC", orc),
            segment("OBR", detail),
        )
        self.file(raw, sender)

    def image(self, number: str = TOLVAN, accession: str = "ACC300", uid: str = "2.25.10") -> None:
        """An image of the examination, sent by the same provider."""
        arrival = Arrival(RIS, str(ExplicitVRLittleEndian), "test")
        receipt, _ = self.do(self.made.server._intake.receive(arrival, image(number, accession, uid)))
        assert receipt.outcome == "stored"

    def ask(
        self,
        number: str = TOLVAN,
        issuer: str = PERSONNUMMER,
        source: str = NORD_SYSTEM,
        token: str = "OVERSIKT",
        **more: str,
    ) -> Answer:
        return self.post(imaging_outcome(number, issuer, source, **more), token)

    def post(
        self, data: bytes, token: str = "OVERSIKT", action: str = names.ACTION, original: str = ""
    ) -> Answer:
        host = self.made.server._base.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=30)
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
        if original:
            headers["x-rivta-original-serviceconsumer-hsaid"] = original
        if token:
            headers["Authorization"] = f"Bearer {self.made.tokens.get(token, token)}"
        connection.request("POST", names.PATH, data, headers)
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        return Answer(answer.status, etree.fromstring(raw), raw)

    def do(self, work: Any) -> Any:
        """Runs something on the server's own loop."""
        return self.made.run(work)


@contextmanager
def staged(folder: Path, changes: dict[str, Any] | None = None) -> Iterator[Stage]:
    with running(folder, changes=changes) as made:
        yield Stage(made)


async def later(seconds: float) -> None:
    """Waits on the server's loop."""
    await asyncio.sleep(seconds)
