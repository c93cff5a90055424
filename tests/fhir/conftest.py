"""One server for the tests of a module, with two people's examinations."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fhir.house import BO, TOLVAN, Reader, send, store, texts
from tests.hl7v2.messages import message, msh, pid, segment
from tests.scratch import Running


@pytest.fixture(scope="module")
def house(scratch: Running) -> Running:
    """Tolvan has an examination with everything at two providers; Bo's identity is protected."""
    store(scratch, "NORDCT", TOLVAN, "NORD1")
    store(scratch, "KLARAPACS", TOLVAN, "KLARA1")
    send(scratch.mllp_port, *texts("NORDRIS", "NORD1", "Inga tecken till pneumoni."))
    send(scratch.mllp_port, *texts("KLARARIS", "KLARA1", "Handleden utan fraktur."))
    protected = pid(f"{BO}^^^PNR", "Testpatient^Bo", "19680912"), segment("PD1", {12: "Y"})
    send(scratch.mllp_port, message(msh("ADT^A08", "PROT1"), *protected))
    return scratch


@pytest.fixture(scope="module")
def reader_of(house: Running) -> Iterator[Any]:
    made: list[Reader] = []

    def make(name: str) -> Reader:
        system = name in house.about["tokens"]["systems"]
        made.append(Reader(house, house.system_token(name) if system else house.persona_token(name)))
        return made[-1]

    yield make
    for each in made:
        each.http.close()


@pytest.fixture(scope="module")
def radiologist(reader_of: Any) -> Reader:
    return reader_of("radiologist")
