"""The series of an examination, as the examination's page lists them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.history import mark_of
from samsyn.endpoints.viewer.language import Languages, Words
from samsyn.endpoints.viewer.visits import PatientVisit
from samsyn.endpoints.viewer.wording import kinds
from samsyn.model.attributes import Attributes
from samsyn.model.imaging import StoredInstance
from samsyn.model.subject import SubjectKind
from samsyn.render.pictures import kind_of
from samsyn.reports.examination import Examination
from samsyn.search.query import Level, Query

_STUDY_UID, _SERIES_UID, _MODALITY = 0x0020000D, 0x0020000E, 0x00080060
_DESCRIPTION, _PROTOCOL, _NUMBER, _COUNT = 0x0008103E, 0x00181030, 0x00200011, 0x00201209
_WITHOUT_PICTURES = frozenset({"PR", "KO", "SR", "REG", "SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTRECORD"})
"""Modalities whose objects go with pictures; they are listed last and not opened in the quick viewer."""
_SHOWN: Final = ("image", "ecg")
"""What becomes a picture, of what an object can be."""


@dataclass(frozen=True, slots=True)
class SeriesShown:
    """One series."""

    mark: str
    """Its name in addresses under the patient's handle: the same one whatever else comes or goes."""
    study_uid: str
    series_uid: str
    modality: str
    kind: str
    title: str
    pictures: int
    """Those that can be looked at: frames of all images, and tracings."""
    documents: tuple[str, ...]
    """The names in addresses of all its PDFs."""
    left_out: str
    """What else it has that is not shown, in words; "" when everything is."""
    is_document: bool
    is_viewable: bool

    @property
    def has_pictures(self) -> bool:
        """Whether there is something to look at; what only goes with pictures is named, and opened nowhere."""
        return self.is_viewable or self.is_document


class SeriesLists:
    """Lists series through the View."""

    def __init__(self, deps: ViewerDependencies, languages: Languages) -> None:
        self._deps = deps
        self._languages = languages

    async def of(self, there: PatientVisit, examination: Examination) -> list[SeriesShown]:
        """The examination's series in the order of their numbers, pictures before what goes with them.

        A report may lie among the pictures as a document. A private person is shown those when the report itself is
        released to him, so that no text comes by another way than the text.
        """
        is_private = there.visit.subject.kind is SubjectKind.PATIENT
        without_text = is_private and (examination.withheld or not examination.reports)
        found: list[tuple[Attributes, str]] = []
        for study in examination.studies:
            query = Query(Level.SERIES, {_STUDY_UID: study.study_uid})
            found += [(series, study.study_uid) for series in await self._deps.finder.find(there.view, query)]
        found.sort(key=lambda each: (_text(each[0], _MODALITY) in _WITHOUT_PICTURES, _number(each[0])))
        shown: list[SeriesShown] = []
        for series, study_uid in found:
            instances = await self._deps.retriever.instances(
                there.view, study_uid, _text(series, _SERIES_UID)
            )
            one = self._shown(there, len(shown) + 1, study_uid, series, instances)
            if not (without_text and (one.is_document or one.modality == "SR")):
                shown.append(one)
        return shown

    def _shown(
        self,
        there: PatientVisit,
        place: int,
        study_uid: str,
        series: Attributes,
        instances: Iterable[StoredInstance],
    ) -> SeriesShown:
        words, modality = there.visit.words, _text(series, _MODALITY)
        stored = list(instances)
        has = Counter(kind_of(each) for each in stored)
        is_document = bool(stored) and has["pdf"] == len(stored)
        title = _text(series, _DESCRIPTION) or _text(series, _PROTOCOL)
        return SeriesShown(
            mark=mark_of(there.handle, _text(series, _SERIES_UID)),
            study_uid=study_uid,
            series_uid=_text(series, _SERIES_UID),
            modality=modality,
            kind=", ".join(kinds([modality], self._languages, words)) if modality else "",
            title=title or f"{words('pictures.series')} {_text(series, _NUMBER) or place}",
            pictures=has["ecg"]
            + sum(max(each.pixels.frames, 1) for each in stored if each.pixels and kind_of(each) == "image"),
            documents=tuple(
                mark_of(there.handle, each.sop_instance_uid) for each in stored if kind_of(each) == "pdf"
            ),
            left_out="" if is_document else left_out(has, words),
            is_document=is_document,
            is_viewable=modality not in _WITHOUT_PICTURES and not is_document,
        )


def left_out(has: Mapping[str, int], words: Words) -> str:
    """What of a series can not be shown among its pictures, in words; "" = nothing.

    `has`: how many objects of each kind (render.pictures.kind_of).
    """
    counts = {"documents": has.get("pdf", 0), "films": has.get("video", 0)}
    counts["things"] = sum(count for kind, count in has.items() if kind not in (*_SHOWN, "pdf", "video"))
    told = [
        words(f"pictures.{name}_one") if count == 1 else words(f"pictures.{name}", count=count)
        for name, count in counts.items()
        if count
    ]
    return words("pictures.left_out", what=", ".join(told)) if told else ""


def diagnostic_address(examination: Examination) -> str:
    """OHIF's address for the examination's studies; "" when it has no pictures."""
    uids = ",".join(study.study_uid for study in examination.studies)
    return f"/ohif/viewer?StudyInstanceUIDs={uids}" if uids else ""


def _text(series: Attributes, tag: int) -> str:
    values = series.get(tag, ("", ()))[1]
    return str(values[0]) if values else ""


def _number(series: Attributes) -> int:
    text = _text(series, _NUMBER)
    return int(text) if text.lstrip("-").isdecimal() else 1 << 31
