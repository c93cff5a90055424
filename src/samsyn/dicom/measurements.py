"""Numbers of structured reports with their codes: measurements (PS3.16 TID 1500, 300 and the templates like them)
and radiation dose (TID 10001, 10011, 10021 and PS3.16 TID 10040). Pure, iterative and bounded.

A measurement is one NUM item; what the containers above it and the items below it say about site, method and finding
goes with it. A dose report is read by its parts: each container below the root becomes one observation of all the
numbers in it, for nobody asks for a tube current without its exposure.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from samsyn.dicom.content_items import first_item, items, text_of
from samsyn.dicom.json import to_dicom_json
from samsyn.dicom.moments import in_sweden
from samsyn.errors import LimitExceeded
from samsyn.limits import MAX_OBSERVATIONS, MAX_SR_ITEMS
from samsyn.model.measurements import Concept, MeasurementDocument, Observed, Quantity

_SR: Final = "1.2.840.10008.5.1.4.1.1.88"
MEASUREMENT_CLASSES: Final = frozenset(f"{_SR}.{number}" for number in (22, 33, 34, 35, 75))
"""Enhanced, Comprehensive, Comprehensive 3D and Extensible SR, and Simplified Adult Echo SR."""
DOSE_CLASSES: Final = frozenset(f"{_SR}.{number}" for number in (67, 68, 73, 76))
"""X-Ray, Radiopharmaceutical, Patient and Enhanced X-Ray Radiation Dose SR."""

_CONTENT, _NAME, _RELATION, _KIND = "0040A730", "0040A043", "0040A010", "0040A040"
_SITES: Final = frozenset({"363698007", "G-C0E3", "123014"})
"""Finding Site in SNOMED CT and RT, and a dose report's Target Region (DCM)."""
_METHODS: Final = frozenset({"370129005", "G-C036"})
_ABOUT: Final = frozenset({"121071", "121069", "272741003", "G-C171", "121401"})
"""Finding, previous finding, laterality, derivation: they count whatever their relationship is."""
_TRACKING, _TRACKING_UID = "112039", "112040"


@dataclass(frozen=True, slots=True)
class _About:
    """What is said about everything below."""

    site: Concept | None = None
    method: Concept | None = None
    modifiers: tuple[tuple[Concept, Concept], ...] = ()
    tracking: str = ""
    tracking_uid: str = ""


def read_measurements(
    data: bytes | memoryview, transfer_syntax_uid: str, sop_class_uid: str
) -> MeasurementDocument:
    """The numbers of one object of MEASUREMENT_CLASSES or DOSE_CLASSES, in its own order.

    BadInput: no data set. LimitExceeded: more than limits.MAX_SR_ITEMS items or limits.MAX_OBSERVATIONS numbers.
    """
    root: dict[str, Any] = orjson.loads(to_dicom_json(data, transfer_syntax_uid, ""))
    tree = _Tree(root)
    is_dose = sop_class_uid in DOSE_CLASSES
    complete = text_of(root, "0040A491").upper() == "COMPLETE"
    date, time = in_sweden(text_of(root, "00080023"), text_of(root, "00080033"), text_of(root, "00080201"))
    return MeasurementDocument(
        sop_instance_uid=text_of(root, "00080018"),
        date=date,
        time=time,
        is_final=complete and (is_dose or text_of(root, "0040A493").upper() == "VERIFIED"),
        observed=tuple(tree.doses() if is_dose else tree.measurements()),
    )


class _Tree:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._schemes = {
            text_of(each, "00080102"): text_of(each, "0008010C") for each in items(root, "00080110")
        }
        self._items = 0
        self._numbers = 0

    def measurements(self) -> Iterator[Observed]:
        """Every NUM item, with what stands about it above and below."""
        for place, item, about in self._walk(self._root, "", self._about(self._root, _About())):
            quantity = self._quantity(item)
            if quantity is not None:
                own = self._about(item, about)
                yield Observed(
                    place,
                    quantity.concept,
                    (quantity,),
                    False,
                    own.site,
                    own.method,
                    own.modifiers,
                    own.tracking,
                    own.tracking_uid,
                )

    def doses(self) -> Iterator[Observed]:
        """The containers below the root that hold numbers."""
        about = self._about(self._root, _About())
        for number, part in enumerate(items(self._root, _CONTENT), start=1):
            name = self._concept(first_item(part, _NAME))
            if name is None or text_of(part, _KIND).upper() != "CONTAINER":
                continue
            quantities = []
            own = self._about(part, about)
            for _, item, within in self._walk(part, f"{number}", own):
                # A target region may stand in a container further down.
                own = replace(own, site=own.site or within.site)
                quantity = self._quantity(item)
                if quantity is not None:
                    quantities.append(quantity)
            if quantities:
                yield Observed(
                    f"{number}", name, tuple(quantities), True, own.site, own.method, own.modifiers
                )

    def _walk(
        self, top: Mapping[str, Any], place: str, about: _About
    ) -> Iterator[tuple[str, Mapping[str, Any], _About]]:
        """Everything below, depth first, in order, with what is said about it above."""
        stem = f"{place}." if place else ""
        waiting = self._children(top, stem, about)
        while waiting:
            place, item, about = waiting.pop()
            self._items += 1
            if self._items > MAX_SR_ITEMS:
                raise LimitExceeded(f"MAX_SR_ITEMS: more than {MAX_SR_ITEMS} content items")
            yield place, item, about
            if text_of(item, _KIND).upper() == "CONTAINER":
                about = self._about(item, about)
            waiting += self._children(item, f"{place}.", about)

    @staticmethod
    def _children(
        item: Mapping[str, Any], stem: str, about: _About
    ) -> list[tuple[str, Mapping[str, Any], _About]]:
        return [
            (f"{stem}{number}", child, about) for number, child in enumerate(items(item, _CONTENT), start=1)
        ][::-1]

    def _about(self, item: Mapping[str, Any], above: _About) -> _About:
        """What an item's own children say about it, over what was said above."""
        found = above
        for child in items(item, _CONTENT):
            kind, name = text_of(child, _KIND).upper(), self._concept(first_item(child, _NAME))
            if name is None:
                continue
            if kind == "CODE":
                found = self._with_code(found, name, child)
            elif kind == "TEXT" and name.code == _TRACKING:
                found = replace(found, tracking=text_of(child, "0040A160"))
            elif kind == "UIDREF" and name.code == _TRACKING_UID:
                found = replace(found, tracking_uid=text_of(child, "0040A124"))
        return found

    def _with_code(self, about: _About, name: Concept, child: Mapping[str, Any]) -> _About:
        value = self._concept(first_item(child, "0040A168"))
        if value is None:
            return about
        if name.code in _SITES:
            about = replace(about, site=value)
            # A site's laterality stands below the site.
            for below in items(child, _CONTENT):
                below_name = self._concept(first_item(below, _NAME))
                if below_name is not None and text_of(below, _KIND).upper() == "CODE":
                    about = self._with_code(about, below_name, below)
            return about
        if name.code in _METHODS:
            return replace(about, method=value)
        if name.code in _ABOUT or text_of(child, _RELATION).upper() == "HAS CONCEPT MOD":
            kept = tuple(each for each in about.modifiers if each[0].code != name.code)
            return replace(about, modifiers=(*kept, (name, value)))
        return about

    def _quantity(self, item: Mapping[str, Any]) -> Quantity | None:
        if text_of(item, _KIND).upper() != "NUM":
            return None
        concept = self._concept(first_item(item, _NAME))
        if concept is None:
            return None
        self._numbers += 1
        if self._numbers > MAX_OBSERVATIONS:
            raise LimitExceeded(f"MAX_OBSERVATIONS: more than {MAX_OBSERVATIONS} numbers in one report")
        measured = first_item(item, "0040A300")
        value = _number(text_of(measured, "0040A30A"))
        unit = self._concept(first_item(measured, "004008EA"))
        why = self._concept(first_item(item, "0040A301")) if value is None else None
        return Quantity(concept, value, unit, why)

    def _concept(self, item: Mapping[str, Any]) -> Concept | None:
        code = text_of(item, "00080100") or text_of(item, "00080119") or text_of(item, "00080120")
        if not code:
            return None
        scheme = text_of(item, "00080102")
        return Concept(code, scheme, text_of(item, "00080104"), self._schemes.get(scheme, ""))


def _number(text: str) -> float | None:
    """A decimal string; None for what is none or not finite."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
