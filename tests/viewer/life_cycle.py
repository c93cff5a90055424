"""One patient's reports in every state of their life, as the RIS of Nordsjukhuset sends them."""

from dataclasses import dataclass
from datetime import datetime

from samsyn_demo.region import BY_KEY as PROVIDERS
from tests.hl7v2.messages import message, msh, obx, pid, segment
from tests.viewer.house import House, days_ago, sender_of

NORD = PROVIDERS["nord"]
BEFORE = (
    "Fynd\nEn 8 mm stor förtätning i höger ovanlob. Inga förstorade lymfkörtlar.\n"
    "Bedömning\nOspecifik förtätning. Kontroll om 12 månader."
)
AFTER = (
    "Fynd\nEn 18 mm stor förtätning i höger ovanlob. Inga förstorade lymfkörtlar.\n"
    "Bedömning\nMisstänkt tumör. Utredning bör ske skyndsamt."
)
ADDED = "Tillägg: vid jämförelse med undersökningen för ett år sedan har förtätningen vuxit."


@dataclass(frozen=True)
class Telling:
    """Sends one examination's texts."""

    house: House
    accession: str
    title: str
    days: float

    async def referral(self) -> None:
        orc = {
            1: "NW",
            2: f"R{self.accession}",
            9: self._time(1.0),
            12: "N1^Sandberg^Nils",
            17: self._medicine,
        }
        detail = {
            4: f"X^{self.title}^99L", 13: "Hosta i fem veckor, rökare.", 18: self.accession, 31: "^Tumör?",
            27: "^^^^^A",
        }  # fmt: skip
        await self._send("ORM^O01", "O", segment("ORC", orc), segment("OBR", detail))

    async def version(self, status: str, hours: float, text: str, reason: str = "", **people: str) -> None:
        detail = {
            2: f"R{self.accession}", 3: f"F{self.accession}", 4: f"X^{self.title}^99L", 7: self._time(0.1),
            18: self.accession, 22: self._time(-hours / 24), 25: status, 32: "D1&Berg&Anna" if status != "P" else "",
            35: "D2&Ek&Bo",
        }  # fmt: skip
        orc = {1: "RE", 16: f"^{reason}", 19: people.get("by", "")}
        lines = [segment("ORC", orc), segment("OBR", detail)]
        if text:
            lines.append(obx(text.replace("\n", "\\.br\\"), status))
        await self._send("ORU^R01", f"{status}{hours}", *lines, sent=self._time(-hours / 24))

    async def _send(self, kind: str, control: str, *lines: str, sent: str = "") -> None:
        head = msh(kind, f"{self.accession}-{control}", sent=sent or self._time(1.0))
        raw = message(head, pid("191212121212^^^PNR"), *lines)
        sender = sender_of(NORD, NORD.units[0].hsa_id)
        filed = await self.house.filing.file_message(sender, "standard", raw, "test")
        assert filed.verdict.code == "AA", filed

    @property
    def _medicine(self) -> str:
        return next(unit.hsa_id for unit in NORD.units if unit.name.startswith("Medicin"))

    def _time(self, days: float) -> str:
        moment: datetime = days_ago(self.days + days)
        return moment.strftime("%Y%m%d%H%M%S")


async def tell_everything(house: House) -> None:
    """A preliminary, a correction, an addendum, an annulled one and a report without images."""
    preliminary = Telling(house, "LC1", "DT buk", 1)
    await preliminary.referral()
    await preliminary.version("P", 1, "Fynd\nFri gas. Jouren är underrättad.\nBedömning\nPerforation.")
    corrected = Telling(house, "LC2", "DT thorax", 3)
    await corrected.referral()
    await corrected.version("F", 1, BEFORE)
    await corrected.version("C", 5, AFTER, reason="Måttet var felskrivet")
    added = Telling(house, "LC3", "DT thorax kontroll", 5)
    await added.referral()
    await added.version("F", 1, BEFORE)
    await added.version("A", 6, ADDED)
    annulled = Telling(house, "LC4", "Slätröntgen handled", 7)
    await annulled.version("F", 1, "Ingen fraktur.")
    await annulled.version("X", 9, "", reason="Svaret tillhör en annan undersökning", by="D3^Ny^Eva")
