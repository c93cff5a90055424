"""GET /changes: the change feed for systems that follow the record."""

from types import MappingProxyType

import orjson

from samsyn.access.view import Gatekeeper
from samsyn.endpoints.dicomweb.answers import Answer, plain_refusal
from samsyn.endpoints.dicomweb.asked import Asked
from samsyn.endpoints.dicomweb.negotiation import choose_plain
from samsyn.endpoints.dicomweb.parameters import pairs_of
from samsyn.endpoints.dicomweb.reader import Reader, Readers
from samsyn.errors import BadInput, NotAllowed
from samsyn.limits import MAX_CHANGES
from samsyn.model.changes import Change
from samsyn.search.changes import Changes

PARAMETERS = MappingProxyType(
    {
        "since": "cursor of the page before; 0 or none = from the beginning",
        "limit": "most changes of one page",
    }
)
_JSON = "application/json"
_MAX_PARAMETERS = 8


class Feed:
    """Answers with pages of the change feed."""

    def __init__(self, readers: Readers, gatekeeper: Gatekeeper, changes: Changes) -> None:
        self._readers = readers
        self._gatekeeper = gatekeeper
        self._changes = changes

    async def page(self, reader: Reader, asked: Asked) -> Answer:
        """What happened behind `since`, and the cursor from which to go on."""
        if reader.system is None or not reader.system.may_query:
            raise NotAllowed("the change feed is for systems")
        if choose_plain(asked.accepted, (_JSON,)) is None:
            return plain_refusal(406, f"Changes are sent as {_JSON}.")
        since, limit = _parameters(asked.query_string)
        view = await self._readers.view_of_search(reader, "", "")
        await self._gatekeeper.record_search(view, "changes")
        page = await self._changes.since(view, since, limit)
        document = {
            "changes": [_told(change) for change in page.changes],
            "cursor": page.cursor,
            "last": page.is_last,
        }
        return Answer(200, orjson.dumps(document), _JSON.encode())


def _told(change: Change) -> dict[str, object]:
    told: dict[str, object] = {
        "cursor": change.cursor,
        "kind": change.kind.value,
        "time": change.time,
        "study": change.study_uid,
        "instances": change.instances,
    }
    if change.series_uid:
        told["series"] = change.series_uid
    if change.code:
        told["code"] = change.code
    if change.sop_instance_uids:
        told["sopInstances"] = change.sop_instance_uids
    if change.attributes:
        told["attributes"] = change.attributes
    if change.into:
        told["into"] = change.into
    return told


def _parameters(query_string: bytes) -> tuple[int, int]:
    found: dict[str, int] = {"since": 0, "limit": MAX_CHANGES}
    seen: set[str] = set()
    for name, value in pairs_of(query_string, _MAX_PARAMETERS):
        if name == "accept":
            continue
        if (
            name not in found
            or name in seen
            or not (value.isascii() and value.isdigit() and len(value) <= 18)
        ):
            raise BadInput("changes take since and limit, whole numbers")
        seen.add(name)
        found[name] = int(value)
    if found["limit"] < 1:
        raise BadInput("limit is at least 1")
    return found["since"], found["limit"]
