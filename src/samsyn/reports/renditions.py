"""The same report in several forms: message, DICOM SR, CDA and PDF become one version with renditions, not copies.

In a sister system SR copies beside the message's text were shown in the wrong order and hid the addendum. Here a
document that says what a version says already is a rendition of it; only a document that tells something else is a
version of its own. What is the same is decided from the content and the sources' times, never by arrival.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from samsyn.model.texts import Rendition, ReportStatus, ReportVersion

_FORMS = ("text", "fhir", "sr", "cda", "pdf")
"""The form that is read first; the others are renditions of it."""
_SAME_MOMENT = timedelta(minutes=2)
"""A RIS writes the message and the document of one signing within seconds."""
_LEAST_CONTAINED = 24
"""Letters and digits from which on one text inside another makes them the same; shorter ones must be equal."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_MEANINGLESS = re.compile(r"[\W_]+")


def folded(versions: Sequence[ReportVersion]) -> list[ReportVersion]:
    """The versions of one report, those that are the same in another form put under the one that is read."""
    kept: list[ReportVersion] = []
    for version in sorted(versions, key=_by_form):
        same = None if version.form == "text" else _same(version, kept)
        if same is None:
            kept.append(version)
            continue
        renditions = {*same.renditions, Rendition(version.form, version.series_uid), *version.renditions}
        kept[kept.index(same)] = replace(same, renditions=tuple(sorted(renditions)))
    return kept


def _by_form(version: ReportVersion) -> tuple[int, datetime, str, str, str]:
    form = _FORMS.index(version.form) if version.form in _FORMS else len(_FORMS)
    return form, version.result_time or _LONG_AGO, version.status.value, version.text, version.series_uid


def _same(document: ReportVersion, kept: Sequence[ReportVersion]) -> ReportVersion | None:
    """The version that the document is another form of; None = it tells something of its own."""
    living = [each for each in kept if each.status is not ReportStatus.ANNULLED]
    latest_first = sorted(living, key=lambda each: each.result_time or _LONG_AGO, reverse=True)
    if not document.text:
        return next((each for each in latest_first if _is_before(each, document)), None)
    return next(
        (
            each
            for each in latest_first
            if say_the_same(each.text, document.text)
            or (each.form != document.form and each.status is document.status and _is_at(each, document))
        ),
        None,
    )


def _is_before(version: ReportVersion, document: ReportVersion) -> bool:
    """Whether the version was there when a document without readable text was made."""
    if document.result_time is None:
        return True
    return (version.result_time or _LONG_AGO) <= document.result_time + _SAME_MOMENT


def _is_at(version: ReportVersion, document: ReportVersion) -> bool:
    if version.result_time is None or document.result_time is None:
        return False
    return abs(version.result_time - document.result_time) <= _SAME_MOMENT


def say_the_same(one: str, other: str) -> bool:
    """Whether the letters and digits are the same, or those of one stand in the other (an SR adds its headings)."""
    short, long = sorted((_plain(one), _plain(other)), key=len)
    if not short:
        return False
    return short == long or (len(short) >= _LEAST_CONTAINED and 2 * len(short) >= len(long) and short in long)


def _plain(text: str) -> str:
    return _MEANINGLESS.sub("", text).casefold()
