"""Fills a data folder with studies by the way that every instance goes: read, decided, written down, indexed.

Nothing is left out but the network: `ingest.receive` takes each data set, and the journal syncs as it does for a
burst of senders. Each study has one small instance; a person has ten studies, and a day two hundred, at every size.
"""

import asyncio
import random
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from bench import objects
from bench.objects import Study
from samsyn.clock import SystemClock
from samsyn.ingest.filing import SERIES_DOCUMENT
from samsyn.ingest.receive import Arrival, Intake
from samsyn.model.sender import Sender
from samsyn.store.store import Store

MODALITIES = ("CT", "MR", "CR", "US", "DX", "MG", "NM", "PT")
STUDIES_OF_A_PERSON = 10
STUDIES_OF_A_DAY = 200
MOST_STUDIES = 2_000_000
"""Persons of other measurements begin behind theirs."""
_FIRST_DAY = date(2010, 1, 1)
_AT_ONCE = 512
_SEED = 77


def study(index: int) -> Study:
    """The index-th study; always the same."""
    source = random.Random(_SEED * 10_000_000 + index)
    number = objects.test_number(index // STUDIES_OF_A_PERSON)
    return Study(objects.uid(source), objects.uid(source), number, f"B{index:07d}", day_of(index))


def day_of(index: int) -> str:
    """The day of the index-th study, YYYYMMDD."""
    return f"{_FIRST_DAY + timedelta(days=index // STUDIES_OF_A_DAY):%Y%m%d}"


def modality_of(index: int) -> str:
    """The modality of the index-th study."""
    return MODALITIES[index % len(MODALITIES)]


class Template:
    """One data set whose values of fixed length are put in place."""

    def __init__(self) -> None:
        source = random.Random(_SEED)
        self._of = Study(
            objects.uid(source), objects.uid(source), objects.test_number(0), "B9999999", "19990101"
        )
        (instance,) = objects.instances(source, objects.NOTE, self._of, 1)
        self._sop_uid, self._data = instance.sop_uid, instance.data

    def data_set(self, index: int) -> bytes:
        """The only instance of the index-th study."""
        of = study(index)
        sop_uid = f"{of.series_uid[:-1]}{(int(of.series_uid[-1]) + 1) % 10}"
        data = self._data
        for old, new in (
            (self._sop_uid, sop_uid),
            (self._of.study_uid, of.study_uid),
            (self._of.series_uid, of.series_uid),
            (self._of.accession, of.accession),
            (f"Testsson^Nr{self._of.patient_id[-4:]}", f"Testsson^Nr{of.patient_id[-4:]}"),
            (self._of.patient_id, of.patient_id),
            (self._of.patient_id[:8], of.patient_id[:8]),
            (self._of.day, of.day),
            ("\x08\0\x60\0CS\x02\0MR", f"\x08\0\x60\0CS\x02\0{modality_of(index)}"),
        ):
            data = data.replace(old.encode("latin-1"), new.encode("latin-1"))
        return data


async def fill(folder: Path, sender: Sender, first: int, end: int) -> tuple[float, float]:
    """Puts the studies `first` to `end` into the folder: seconds, and seconds of CPU."""
    store = Store(folder, SystemClock())
    store.start()
    begun, cpu_begun = time.perf_counter(), time.process_time()
    try:
        intake, template = Intake(store, SystemClock()), Template()
        indices = iter(range(first, end))

        async def send(mine: Iterator[int]) -> None:
            for index in mine:
                # An association of a hundred instances, as a modality's worklist of a morning.
                arrival = Arrival(sender, objects.EXPLICIT_LITTLE, f"fill-{index // 100}")
                receipt, _ = await intake.receive(arrival, template.data_set(index))
                if receipt.outcome != "stored":
                    raise SystemExit(f"study {index}: {receipt.outcome} {receipt.reason}")

        await asyncio.gather(*(send(indices) for _ in range(_AT_ONCE)))
        spent = time.perf_counter() - begun, time.process_time() - cpu_begun
        # In a region these documents were made years ago; here they would be made while we measure.
        await store.commit(lambda transaction: transaction.delete("job", kind=SERIES_DOCUMENT))
        return spent
    finally:
        store.close()


def main() -> None:
    """FOLDER FIRST END"""
    folder, first, end = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    sender = Sender(
        "BENCH", "SE9990000001-0001", "SE9990000001-1001", "2.25.9990000001.1", "2.25.9990000001.2"
    )
    print(*asyncio.run(fill(folder, sender, first, end)))


if __name__ == "__main__":
    main()
