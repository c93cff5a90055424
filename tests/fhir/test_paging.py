"""Pages of a FHIR search go on behind what was given, whatever is filed or hidden while they are turned."""

from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.endpoints.fhir.paging import Pages
from samsyn.endpoints.fhir.search import understand
from samsyn.errors import BadInput
from samsyn.limits import MAX_GIVEN_NAMES
from tests.fhir.house import Reader, send, texts
from tests.scratch import Running

KEY = bytes(range(32))
AGDA = "199001012385"
Pair = tuple[dict[str, Any], tuple[str, ...]]


def report(number: int, day: int, issued: str = "") -> Pair:
    resource = {"resourceType": "DiagnosticReport", "id": str(number), "status": "final"}
    return resource | ({"issued": issued} if issued else {}), (f"202403{day:02d}", "", "A")


def in_order(pairs: list[Pair]) -> list[Pair]:
    return sorted(pairs, key=lambda pair: pair[1], reverse=True)


def turned(pages: Pages, states: Iterator[list[Pair]], **asked: str) -> list[str]:
    """Every id on the pages of a search, each page read in the next state of what is there."""
    found: list[str] = []
    token = ""
    while True:
        search = understand("DiagnosticReport", [*asked.items(), *([("_page", token)] if token else [])])
        page = pages.page(search, in_order(next(states)))
        found += [each["id"] for each in page.resources]
        if not page.next:
            return found
        token = page.next


pairs = st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["", "2024", "2025"])), min_size=1, max_size=12)


@given(
    first=pairs,
    later=st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=6),
    size=st.integers(1, 4),
    sort=st.sampled_from(["", "issued", "-issued", "-issued,_id"]),
)
def test_what_stays_there_comes_once_however_much_is_filed_and_hidden_between_pages(
    first: list[tuple[int, str]], later: list[tuple[int, bool]], size: int, sort: str
) -> None:
    there = [report(number, *each) for number, each in enumerate(first)]
    gone: set[str] = set()

    def states() -> Iterator[list[Pair]]:
        nonlocal there
        yield there
        for number in count():
            if number < len(later):
                day, hides = later[number]
                if hides:
                    gone.add(there.pop(day % len(there))[0]["id"]) if len(there) > 1 else None
                else:
                    # In front of the others of its day, where a report that has just come stands.
                    there = [report(100 + number, day), *there]
            yield there

    asked = {"_count": str(size)} | ({"_sort": sort} if sort else {})
    found = turned(Pages(KEY), states(), **asked)
    assert len(found) == len(set(found))
    assert {str(number) for number in range(len(first))} - gone <= set(found)


def test_an_examination_with_more_resources_than_an_address_can_name_is_paged_to_its_end() -> None:
    many = [report(number, 1) for number in range(3 * MAX_GIVEN_NAMES)]
    found = turned(Pages(KEY), iter(lambda: many, None), _count="400")
    assert found == [resource["id"] for resource, _ in many]


@pytest.mark.parametrize(
    ("kind", "changed"),
    [("DiagnosticReport", {"status": "final"}), ("ImagingStudy", {}), ("DiagnosticReport", {"_page": "x"})],
)
def test_a_token_of_another_search_is_refused(kind: str, changed: dict[str, str]) -> None:
    pages, there = Pages(KEY), [report(1, 1), report(2, 2)]
    token = pages.page(understand("DiagnosticReport", [("_count", "1")]), in_order(there)).next
    asked = {"_count": "1", "_page": token} | changed
    with pytest.raises(BadInput):
        pages.page(understand(kind, asked.items()), there)


@pytest.mark.slow
def test_a_report_that_is_filed_between_two_pages_moves_none(house: Running, radiologist: Reader) -> None:
    def file(number: int) -> None:
        for raw in texts("NORDRIS", f"PAGE{number}", f"Svar {number}"):
            about = raw.replace(b"191212121212^^^PNR", f"{AGDA}^^^PNR".encode())
            send(
                house.mllp_port,
                about.replace(b"|Tolvansson^Tolvan||19121212|M", b"|Testperson^Agda||19900101|F"),
            )

    for number in range(3):
        file(number)
    whose = radiologist.handle(AGDA)
    page = radiologist.get("/DiagnosticReport", patient=whose, _count="1")
    found = [entry["resource"]["conclusion"] for entry in page["entry"]]
    for number in range(3, 9):
        following = [link["url"] for link in page["link"] if link["relation"] == "next"]
        if not following:
            break
        file(number)  # its place is in front of those that are there
        assert "PAGE" not in following[0]
        page = radiologist.get("/DiagnosticReport", **dict(parse_qsl(urlsplit(following[0]).query)))
        found += [entry["resource"]["conclusion"] for entry in page["entry"]]
    assert found == ["Svar 2", "Svar 1", "Svar 0"]
