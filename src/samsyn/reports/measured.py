"""Measurements (mätvärden) and radiation dose (stråldos) of a study, read from its structured reports under a View."""

import asyncio
import hashlib
import logging
from collections import OrderedDict

from samsyn import limits
from samsyn.access.view import View
from samsyn.dicom.measurements import DOSE_CLASSES, MEASUREMENT_CLASSES, read_measurements
from samsyn.errors import BadInput, LimitExceeded, NotFound
from samsyn.model.imaging import StoredInstance, StudySummary
from samsyn.model.measurements import MeasurementDocument
from samsyn.retrieve.retrieve import Retriever

log = logging.getLogger(__name__)

_MODALITY = "SR"
"""What every structured report calls its series (PS3.3 C.17.1); a study without one is not looked into."""


class Measured:
    """Reads the objects themselves, so that what is corrected, taken back or hidden is so here too.

    What an object's bytes say is kept in memory under the bytes' hash: it is the same for every reader.
    """

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever
        self._kept: OrderedDict[bytes, MeasurementDocument | None] = OrderedDict()

    async def of(self, view: View, study: StudySummary) -> list[MeasurementDocument]:
        """The study's measurement and dose reports that hold numbers, in the order of series and number.

        What can not be read as one, or is damaged, is left out: the object itself tells so when it is opened. At
        most limits.MAX_MEASURED_OBJECTS objects are looked at.
        """
        if _MODALITY not in study.modalities:
            return []
        try:
            instances = await self._retriever.instances(view, study.study_uid)
        except NotFound:
            return []
        wanted = [each for each in instances if each.sop_class_uid in MEASUREMENT_CLASSES | DOSE_CLASSES]
        wanted = [each for each in wanted if each.location.length <= limits.MAX_HEADER_BYTES]
        wanted = wanted[: limits.MAX_MEASURED_OBJECTS]
        if not wanted:
            return []
        found: list[MeasurementDocument] = []
        for instance, data in zip(wanted, await self._retriever.data_sets(view, wanted), strict=True):
            if isinstance(data, memoryview):
                document = await self._document(instance, data)
                if document is not None and document.observed:
                    found.append(document)
        return found

    async def _document(self, instance: StoredInstance, data: memoryview) -> MeasurementDocument | None:
        # By what is shown: a correction that is laid over the bytes makes other bytes.
        key = hashlib.sha256(data).digest()
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        document = await asyncio.to_thread(_read, data, instance)
        self._kept[key] = document
        while len(self._kept) > limits.KEPT_MEASUREMENTS:
            self._kept.popitem(last=False)
        return document


def _read(data: memoryview, instance: StoredInstance) -> MeasurementDocument | None:
    try:
        return read_measurements(data, instance.transfer_syntax_uid, instance.sop_class_uid)
    except (BadInput, LimitExceeded) as problem:
        log.warning("measurements-unreadable", extra={"error": type(problem).__name__})
        return None
