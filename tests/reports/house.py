"""A real store with intake and filing, and messages of three systems: a RIS, an EHR, a patient register."""

from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from samsyn.clock import SystemClock
from samsyn.ingest.receive import Arrival, Intake
from samsyn.model.organisation import CareProvider, CareUnit
from samsyn.model.sender import Sender
from samsyn.reports.file import Filed, Filing
from tests.indexes import make_store

NORD, KLARA, LINDEN = "SE9990000001-0001", "SE9990000002-0001", "SE9990000004-0001"
RIS = Sender("NORDRIS", NORD, "SE9990000001-1001", "2.25.1", "2.25.2")
OTHER_RIS = Sender("KLARARIS", KLARA, "SE9990000002-1001", "2.25.11", "2.25.12")
EHR = Sender("LINDENJOURNAL", LINDEN, "SE9990000004-1001", "2.25.41", "2.25.42")
PROVIDERS = (
    CareProvider(NORD, "Nordsjukhuset", (CareUnit("SE9990000001-1001", "Röntgen"),)),
    CareProvider(LINDEN, "Linden", (CareUnit("SE9990000004-1001", "Linden"),)),
)


class House:
    """Opens a data folder and files what tests send."""

    def __init__(self, folder: Path) -> None:
        self.store = make_store(folder, SystemClock())
        self.store.start()
        self.clock = SystemClock()
        self.filing = Filing(self.store, self.clock, PROVIDERS)
        self.intake = Intake(self.store, SystemClock())

    async def send(self, raw: bytes, sender: Sender = RIS, profile: str = "standard") -> Filed:
        return await self.filing.file_message(sender, profile, raw, "test")

    async def image(
        self, patient_id: str = "191212121212", accession: str = "ACC300", uid: str = "2.25.10"
    ) -> str:
        arrival = Arrival(RIS, str(ExplicitVRLittleEndian), "association")
        receipt, _ = await self.intake.receive(arrival, image(patient_id, accession, uid))
        return receipt.outcome

    async def all(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        def ask(connection: Any) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in connection.execute(sql, parameters).fetchall()]

        return await self.store.read(ask)

    def close(self) -> None:
        self.store.close()


def image(patient_id: str, accession: str, study_uid: str) -> bytes:
    """A small CT image as a data set without file meta."""
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 100"
    data.SOPClassUID = CTImageStorage
    data.SOPInstanceUID = study_uid + ".1.1"
    data.StudyInstanceUID = study_uid
    data.SeriesInstanceUID = study_uid + ".1"
    data.PatientID = patient_id
    data.PatientName = "Bildnamn^Tolvan"
    data.PatientBirthDate = "19121212"
    data.PatientSex = "M"
    data.StudyDate = "20240315"
    data.AccessionNumber = accession
    data.Modality = "CT"
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, data)
    return bytes(stream.getvalue())
