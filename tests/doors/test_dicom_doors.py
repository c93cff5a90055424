"""The same states before the DICOM doors: C-FIND, C-GET and C-MOVE by known systems and by a stranger."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doors.instance import Instance, Planted, running
from tests.doors.oracle import permitted
from tests.doors.results import Result
from tests.doors.words import Seen
from tests.doors.world import DICOM_READERS, STATES

pytest.importorskip("pynetdicom")
from tests.doors.dimse import DICOM_DOORS, REFUSED_TO_ALL, called_as, sink
from tests.doors.doors import Asker, leaked, observed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def planted(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Instance, list[Planted], list[bytes]]]:
    with (
        sink() as (port, kept),
        running(Path(tmp_path_factory.mktemp("dicom-doors")), sink_port=port) as made,
    ):
        yield made, made.plant(STATES), kept


def test_every_system_state_and_dicom_door_is_as_the_law_says(
    planted: tuple[Instance, list[Planted], list[bytes]],
) -> None:
    made, persons, sunk = planted
    result = Result()
    for reader in DICOM_READERS:
        with called_as(reader.name, made.server.dicom_port, sunk) as peer:
            if reader.kind == "nobody":
                assert not peer.association.is_established
                continue
            assert peer.association.is_established
            for each in persons:
                for name, ask in DICOM_DOORS:
                    answer, absent = ask(peer, each.there), ask(peer, each.twin)
                    assert leaked(answer, each) == set()
                    seen = observed(answer, absent, each, Asker(reader))
                    law = permitted(reader, each.state)
                    if law is not Seen.CONTENT or name in REFUSED_TO_ALL:
                        law = Seen.NOTHING
                    result.note(reader, each.state, name, seen, law)
    result.judge()
