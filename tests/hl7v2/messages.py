"""Invented messages of invented systems; people are Skatteverket's test persons."""

from samsyn.hl7v2.interpret import read_message
from samsyn.hl7v2.meaning import Event, Interpretation
from samsyn.hl7v2.profile import Profile
from samsyn.model.sender import Sender

SENDER = Sender("NORDRIS", "SE9990000001-0001", "SE9990000001-1001", "2.25.1", "2.25.2")
TOLVAN = "191212121212^^^PNR"


def segment(name: str, fields: dict[int, str]) -> str:
    """A segment with values at field numbers."""
    last = max(fields, default=0)
    return "|".join([name, *(fields.get(number, "") for number in range(1, last + 1))])


def msh(
    kind: str, control: str = "M1", charset: str = "8859/1", sent: str = "20240315101530", **more: str
) -> str:
    """A header; `more` has f3=..., f11=..."""
    fields = {2: "NORDRIS", 3: "NORDSJUKHUSET", 4: "SAMSYN", 6: sent, 8: kind, 9: control, 10: "P", 11: "2.5"}
    fields |= {17: charset} if charset else {}
    fields |= {int(key[1:]) - 1: value for key, value in more.items()}
    return segment("MSH", {**fields, 1: "^~\\&"})


def pid(
    identifiers: str = TOLVAN, name: str = "Tolvansson^Tolvan", birth: str = "19121212", sex: str = "M"
) -> str:
    """PID."""
    return segment("PID", {1: "1", 3: identifiers, 5: name, 7: birth, 8: sex})


def obr(fields: dict[int, str] | None = None) -> str:
    """An OBR of a final report."""
    usual = {
        1: "1", 2: "R100", 3: "RIS200", 4: "CTTHX^DT thorax^LOCAL", 7: "20240315093000", 18: "ACC300",
        22: "20240315101500", 25: "F",
    }  # fmt: skip
    return segment("OBR", usual | (fields or {}))


def obx(text: str, status: str = "F", code: str = "UTL^Utlåtande", kind: str = "TX", number: int = 1) -> str:
    """An OBX with text."""
    return segment("OBX", {1: str(number), 2: kind, 3: code, 5: text, 11: status})


def message(*segments: str, charset: str = "latin-1") -> bytes:
    """Segments as one message, each ended by CR."""
    return ("\r".join(segments) + "\r").encode(charset)


def oru(
    status: str = "F", text: str = "Inga tecken till pneumoni.", control: str = "M1", **fields: str
) -> bytes:
    """A report with one text line; fields as f22=..."""
    extra = {int(key[1:]): value for key, value in fields.items()}
    return message(msh("ORU^R01", control), pid(), obr({25: status} | extra), obx(text, status))


def meant(raw: bytes, profile: Profile | None = None) -> Interpretation:
    """Interpreted by the profile, the standard's own places without one."""
    return read_message(raw, profile or Profile("test"), SENDER)


def only(raw: bytes, profile: Profile | None = None) -> Event:
    """The one event of a message."""
    (event,) = meant(raw, profile).events
    return event
