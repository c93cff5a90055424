"""Structured reports as pages: everything in the tree is told, nothing in a value is more than text, all is bounded."""

import html.parser
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from samsyn.dicom import report_pages
from samsyn.dicom.json import to_dicom_json
from samsyn.dicom.report_pages import as_html, as_text, page_of
from samsyn.errors import LimitExceeded
from tests.dicom.corpus import data_sets
from tests.dicom.test_reading import REFUSED
from tests.reports.documents_made import code, content, number, report, section, text

EXPLICIT = "1.2.840.10008.1.2.1"
OURS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "h1",
    "p",
    "dl",
    "dt",
    "dd",
    "ul",
    "li",
    "b",
    "bdi",
    "span",
}
ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><a href='javascript:alert(1)'>x</a>",
    "</title><iframe src=//x.test>",
    "&lt;b&gt; &#60;i",
    "]]><svg/onload=alert(1)>",
)


def model(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(to_dicom_json(data, EXPLICIT, ""))
    return found


class Reading(html.parser.HTMLParser):
    """What a browser would find: elements with their attributes, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data


def read(document: bytes) -> Reading:
    reading = Reading()
    reading.feed(document.decode())
    reading.close()
    return reading


def reference(kind: str, **more: Any) -> Dataset:
    made = content(kind, code("121112", "DCM", "Source of Measurement"), "INFERRED FROM")
    named = Dataset()
    named.ReferencedSOPClassUID, named.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "2.25.1001"
    for name, value in more.items():
        setattr(named, name, value)
    made.ReferencedSOPSequence = Sequence([named])
    return made


def test_every_kind_of_item_is_told_with_the_meaning_of_codes_and_units_and_what_follows_from_what() -> None:
    finding = content("CODE", code("121071", "DCM", "Finding"))
    finding.ConceptCodeSequence = Sequence([code("233604007", "SCT", "Pneumonia")])
    measured = number("Diameter", "12.5", "mm")
    measured.ContentSequence = Sequence([reference("IMAGE", ReferencedFrameNumber=[3, 4])])
    place = content("SCOORD", code("111030", "DCM", "Image Region"), "INFERRED FROM", GraphicType="CIRCLE")
    when = content("DATETIME", code("111526", "DCM", "Started"), DateTime="20240315101500.5+0100")
    uid = content("UIDREF", code("112040", "DCM", "Tracking Unique Identifier"), UID="2.25.5")
    date = content("DATE", code("111060", "DCM", "Study Date"), Date="20240314")
    time = content("TIME", code("111061", "DCM", "Study Time"), Time="091500")
    by_reference = Dataset()
    by_reference.RelationshipType, by_reference.ReferencedContentItemIdentifier = "SELECTED FROM", [1, 2, 1]
    empty = content("NUM", code("1", "99X", "Volume"))
    empty.NumericValueQualifierCodeSequence = Sequence([code("114000", "DCM", "Not a number")])
    every = section("Findings", finding, measured, place, when, uid, date, time, by_reference, empty)
    page = page_of(model(report(every, text("Line one\nLine two"))))
    plain = as_text(page).decode()
    for told in (
        "Diagnostic imaging report\n",
        "Patient: Tolvan Tolvansson",
        "Signerat av / Verified by: Anna Berg, Nordsjukhuset, 2024-03-15 10:15:00 +0100",
        "Person Observer Name [sammanhang / context]: Bo Ek",
        "\nFindings\n",
        "\n  Finding: Pneumonia\n",
        "\n  Diameter: 12.5 mm\n",
        "\n    Source of Measurement [slutsats av / inferred from]: bild / image 2.25.1001, bildruta / frame 3, 4\n",
        "\n  Image Region [slutsats av / inferred from]: plats / place: circle\n",
        "\n  Started: 2024-03-15 10:15:00 +0100\n",
        "\n  Tracking Unique Identifier: 2.25.5\n",
        "\n  Study Date: 2024-03-14\n",
        "\n  Study Time: 09:15:00\n",
        "[valt ur / selected from]: se / see 1.2.1\n",
        "\n  Volume: (Not a number)\n",
        "\nFinding: Line one\n    Line two\n",
    ):
        assert told in plain
    reading = read(as_html(page))
    for line in page.lines:
        assert line.name in reading.said
        assert line.value in reading.said
    assert reading.open == []


def test_who_reads_is_told_first_that_a_report_is_partial_or_not_verified() -> None:
    data = model(report(text("x"), verified=""))
    data["0040A491"] = {"vr": "CS", "Value": ["PARTIAL"]}
    page = page_of(data)
    assert page.warnings == ("Ofullständigt / Partial", "Ej signerat / Unverified")
    for made in (as_html(page), as_text(page)):
        assert 0 < made.index(b"Ej signerat / Unverified") < made.index(b"Patient")


def _everywhere(value: str) -> dict[str, Any]:
    """A report that says the same wherever a sender can say something."""
    coded = {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": [value]}, "00080104": _lo(value)}]}
    person = {"vr": "PN", "Value": [{"Alphabetic": value}]}
    measured = {"vr": "SQ", "Value": [{"0040A30A": {"vr": "DS", "Value": [value]}, "004008EA": coded}]}
    named = {"vr": "SQ", "Value": [{"00081155": _lo(value), "00081160": {"vr": "IS", "Value": [value]}}]}
    told = {
        **dict.fromkeys(("0040A160", "0040A121", "0040A122", "0040A120", "0040A124", "00700023"), _lo(value)),
        **dict.fromkeys(("0040A043", "0040A168", "0040A301"), coded),
        "0040A123": person,
        "0040A300": measured,
        "00081199": named,
        "0040A010": _lo(value),
    }
    kinds = (
        "TEXT",
        "CODE",
        "NUM",
        "PNAME",
        "UIDREF",
        "DATE",
        "TIME",
        "DATETIME",
        "IMAGE",
        "SCOORD",
        "CONTAINER",
        value,
    )
    observer = {"0040A075": person, "0040A027": _lo(value), "0040A030": _lo(value)}
    facts = ("00100020", "00100030", "00080020", "00081030", "00080050", "00080023")
    return {
        **dict.fromkeys(facts, _lo(value)),
        "00100010": person,
        "0040A043": coded,
        "0040A073": {"vr": "SQ", "Value": [observer]},
        "0040A730": {"vr": "SQ", "Value": [{**told, "0040A040": _lo(kind)} for kind in kinds]},
    }


def _lo(value: str) -> dict[str, Any]:
    return {"vr": "LO", "Value": [value]}


def _is_ours_alone(value: str) -> None:
    reading = read(as_html(page_of(_everywhere(value))))
    assert {tag for tag, _ in reading.elements} <= OURS
    attributes = {(name, told) for _, each in reading.elements for name, told in each.items()}
    assert attributes <= {
        ("lang", "sv"),
        ("charset", "utf-8"),
        ("class", "v"),
        ("class", "r"),
        ("class", "w"),
    }
    assert reading.open == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_script_link_or_picture_comes_out_of_a_value(attack: str) -> None:
    _is_ours_alone(attack)


@given(st.text(max_size=40))
def test_whatever_a_value_holds_the_page_has_our_elements_alone(value: str) -> None:
    _is_ours_alone(value)


@given(
    st.lists(
        st.text(alphabet="a<\n\r\x0b\x0c\x1c\x85\u2028\u202e\x00\x1b", max_size=12), min_size=1, max_size=4
    )
)
def test_no_value_looks_like_another_item_in_plain_text_or_turns_what_stands_beside_it(
    values: list[str],
) -> None:
    rows = [
        {
            "0040A040": _lo("TEXT"),
            "0040A043": {"vr": "SQ", "Value": [{"00080104": _lo("Name")}]},
            "0040A160": _lo(value),
        }
        for value in values
    ]
    made = as_text(page_of({"0040A730": {"vr": "SQ", "Value": rows}})).decode()
    body = made.split("\n\n", 2)[-1]
    assert sum(1 for line in body.splitlines() if line and not line.startswith("    ")) == len(values)
    assert all(each == "\n" or ord(each) > 31 for each in made)
    assert "\u202e" not in made


def test_a_tree_of_too_many_items_or_too_much_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = model(report(*(text("four") for _ in range(10))))
    page_of(data)
    monkeypatch.setattr(report_pages, "MAX_SR_ITEMS", 10)
    with pytest.raises(LimitExceeded, match="MAX_SR_ITEMS"):
        page_of(data)
    monkeypatch.undo()
    monkeypatch.setattr(report_pages, "MAX_REPORT_CHARACTERS", 100)
    with pytest.raises(LimitExceeded, match="MAX_REPORT_CHARACTERS"):
        page_of(data)


def test_every_report_of_other_people_is_told_whole() -> None:
    """Its texts, names and numbers; whatever the sender's encoding was."""
    seen = 0
    for path, syntax, data in data_sets():
        if path.name in REFUSED:
            continue
        root = orjson.loads(to_dicom_json(data, syntax, ""))
        if not str(root.get("00080016", {}).get("Value", [""])[0]).startswith(
            report_pages.PAGE_CLASSES_BEGIN
        ):
            continue
        seen += 1
        page = page_of(root)
        made, reading = as_text(page).decode(), read(as_html(page))
        assert {tag for tag, _ in reading.elements} <= OURS
        waiting = list(root.get("0040A730", {}).get("Value", ()))
        while waiting:
            item = waiting.pop()
            waiting += item.get("0040A730", {}).get("Value", ())
            for tag in ("0040A160", "0040A124"):
                for told in item.get(tag, {}).get("Value", ()):
                    for line in told.splitlines():
                        assert line.strip() in made
                        assert line.strip() in reading.said
    assert seen >= 3
