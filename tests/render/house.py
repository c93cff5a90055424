"""A real store with the rooms that pictures need, and objects put in through intake."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from samsyn.access.view import Gatekeeper, View
from samsyn.cli import scratch
from samsyn.clock import SystemClock
from samsyn.ingest.receive import Arrival, Intake
from samsyn.providers.connections import Connections
from samsyn.render.children import DecodingChildren
from samsyn.render.pictures import Pictures
from samsyn.retrieve.retrieve import Retriever
from samsyn.store.documents import Documents
from tests.dicom.test_reading import DEFLATED, deflate
from tests.indexes import make_store
from tests.render.frames import BIG, IMPLICIT, LITTLE

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY, SERIES = "2.25.10", "2.25.11"


class House:
    """Rooms on a folder; `start` before use."""

    def __init__(self, folder: Path, children: int = 1) -> None:
        clock = SystemClock()
        self.folder = folder
        self.scratch = scratch.make(folder)
        self.store = make_store(folder, clock)
        self.store.start()
        self.executor = ThreadPoolExecutor(2)
        self.connections = Connections(self.scratch.settings)
        self.intake = Intake(self.store, clock)
        self.retriever = Retriever(self.store, Documents(self.store, self.executor, clock))
        self.gatekeeper = Gatekeeper(self.store, clock)
        self.children = DecodingChildren(children)
        self.pictures = Pictures(self.retriever, self.children, folder / "derived", clock)

    async def start(self) -> None:
        await self.children.start()

    async def stop(self) -> None:
        await self.children.stop()
        self.executor.shutdown()
        self.store.close()

    async def view(self, token: str = "NORDWEB") -> View:
        system = self.connections.token(self.scratch.system_tokens[token])
        assert system is not None
        return await self.gatekeeper.open_view(system.subject)

    async def take(self, made: Dataset, syntax: str = LITTLE) -> None:
        """Stores one object as the first provider's."""
        system = self.connections.token(self.scratch.system_tokens["NORDWEB"])
        assert system is not None
        stream = DicomBytesIO()
        stream.is_little_endian, stream.is_implicit_VR = syntax != BIG, syntax == IMPLICIT
        write_dataset(stream, made)
        arrival = Arrival(system.sender, syntax, "prov")
        data = deflate(stream.getvalue()) if syntax == DEFLATED else bytes(stream.getvalue())
        receipt, _ = await self.intake.receive(arrival, data)
        assert receipt.outcome == "stored", receipt.reason


def thing(number: int = 1, **changes: Any) -> Dataset:
    """An object of Tolvan Tolvansson without pixels."""
    made = Dataset()
    made.SOPClassUID = CT
    made.SOPInstanceUID = f"2.25.100{number}"
    made.StudyInstanceUID, made.SeriesInstanceUID = STUDY, SERIES
    made.PatientID, made.PatientName = "19121212-1212", "Tolvansson^Tolvan"
    made.PatientBirthDate, made.StudyDate = "19121212", "20240301"
    made.StudyDescription, made.SeriesDescription = "DT thorax", "Thorax 5 mm"
    made.AccessionNumber, made.Modality, made.InstanceNumber = "A1", "CT", number
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def image(pixels: np.ndarray, number: int = 1, frames: int = 1, **changes: Any) -> Dataset:
    """A picture: one sample per pixel, (frames times) rows, columns."""
    made = thing(number)
    made.Rows, made.Columns = pixels.shape[0] // frames, pixels.shape[1]
    made.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    made.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        made.PlanarConfiguration = 0
    made.BitsAllocated = made.BitsStored = 8 * pixels.dtype.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    if frames > 1:
        made.NumberOfFrames = frames
    made.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def compressed(made: Dataset, *frames: bytes) -> Dataset:
    """The picture with these codestreams instead of its pixels."""
    made.PixelData = encapsulate([frame + b"\0" * (len(frame) % 2) for frame in frames])
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    return made
