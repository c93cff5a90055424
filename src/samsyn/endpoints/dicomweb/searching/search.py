"""QIDO-RS (PS3.18 10.6): searching for studies, series and instances."""

from dataclasses import replace

import orjson

from samsyn.access.view import Gatekeeper
from samsyn.dicom.json import attributes_to_json
from samsyn.endpoints.dicomweb.answers import Answer, not_modified
from samsyn.endpoints.dicomweb.asked import MORE, Asked, entity_tag
from samsyn.endpoints.dicomweb.datasets import Form, as_json, as_xml, form_of, not_acceptable
from samsyn.endpoints.dicomweb.parameters import MAX_TOLD, ignored, not_matched
from samsyn.endpoints.dicomweb.reader import Reader, Readers
from samsyn.endpoints.dicomweb.searching.query import (
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Search,
    parse_search,
)
from samsyn.endpoints.dicomweb.target import Target
from samsyn.errors import NotAllowed, NotFound
from samsyn.model.attributes import Attributes
from samsyn.search.find import Finder
from samsyn.search.matching import NotMatched
from samsyn.search.query import Level

_CHARSET = 0x00080005
_RETRIEVE_URL = 0x00081190
_TIMEZONE = 0x00080201
_AVAILABILITY = 0x00080056


class Searches:
    """Answers searches."""

    def __init__(self, readers: Readers, gatekeeper: Gatekeeper, finder: Finder) -> None:
        self._readers = readers
        self._gatekeeper = gatekeeper
        self._finder = finder

    async def search(self, level: Level, target: Target, asked: Asked, reader: Reader) -> Answer:
        """200 with the matches, 204 when there are none (PS3.18 table 10.6.3-1), 400 with their names when keys are not
        matched here.

        Warning headers tell that there are more matches than these (PS3.18 8.3.4.4.1, without counting them), which
        fields no match has and which parameters were ignored. X-Total-Count tells how many matches there are in all
        that this reader may see, on the page that shows the last of them: then it is known without counting.
        """
        if reader.system is not None and not reader.system.may_query:
            raise NotAllowed
        form = form_of(asked.accepted)
        if form is None:
            return not_acceptable("Matches")
        known = {
            tag: uid
            for tag, uid in (
                (STUDY_INSTANCE_UID, target.study_uid),
                (SERIES_INSTANCE_UID, target.series_uid),
                (SOP_INSTANCE_UID, target.sop_instance_uid),
            )
            if uid
        }
        try:
            return await self._found(
                level, parse_search(level, asked.query_string, known), form, asked, reader
            )
        except NotMatched as refused:
            return not_matched(refused)

    async def _found(self, level: Level, search: Search, form: Form, asked: Asked, reader: Reader) -> Answer:
        keys = search.query.keys
        try:
            view = await self._readers.view_of_search(
                reader, keys.get(PATIENT_ID, ""), keys.get(STUDY_INSTANCE_UID, "")
            )
        except NotFound:
            return Answer(204, headers=_headers(search, 0))
        await self._gatekeeper.record_search(view, "dicomweb", view.patient_keys)
        found = await self._finder.window(view, search.query)
        if not found or not search.wanted:
            return Answer(204, headers=_headers(search, len(found)))
        headers = _headers(search, len(found))
        rows = [_row(level, attributes, search, asked.base) for attributes in found[: search.wanted]]
        document = orjson.dumps(rows)
        tag = entity_tag(view, "search", form, document, weak=form == "xml")
        if asked.has(tag):
            return not_modified(tag)
        answer = as_json(document) if form == "json" else as_xml(rows)
        return replace(answer, headers=headers, tag=tag)


def _headers(search: Search, found: int) -> tuple[tuple[bytes, bytes], ...]:
    headers = list(ignored(search.foreign))
    if found > search.wanted:
        headers.append((b"warning", MORE))
    if search.unknown:
        names = ", ".join(search.unknown[:MAX_TOLD])
        headers.append((b"warning", f'299 Samsyn "These fields are not answered: {names}"'.encode()))
    if found <= search.wanted and (found or not search.query.offset):
        headers.append((b"x-total-count", b"%d" % (search.query.offset + found)))
    return tuple(headers)


def _row(level: Level, attributes: Attributes, search: Search, base: str) -> dict[str, dict[str, object]]:
    """One match with the attributes that were asked for and where to retrieve it."""
    shown = attributes
    if search.included is not None:
        shown = {tag: value for tag, value in attributes.items() if tag in search.included}
    shown = {**shown, _CHARSET: ("CS", ("ISO_IR 192",)), _RETRIEVE_URL: ("UR", (_address(attributes, base),))}
    if level is not Level.SERIES:
        shown[_AVAILABILITY] = ("CS", ("ONLINE",))
    if search.timezone:
        shown[_TIMEZONE] = ("SH", (search.timezone,))
    return attributes_to_json(shown)


def _address(attributes: Attributes, base: str) -> str:
    steps = (
        ("studies", STUDY_INSTANCE_UID),
        ("series", SERIES_INSTANCE_UID),
        ("instances", SOP_INSTANCE_UID),
    )
    return base + "".join(f"/{word}/{attributes[tag][1][0]}" for word, tag in steps if tag in attributes)
