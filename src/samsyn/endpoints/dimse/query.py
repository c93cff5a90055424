"""C-FIND (PS3.4 C.4.1), patient and study root."""

from samsyn import limits
from samsyn.access.view import Gatekeeper
from samsyn.dicom.encoding import encode
from samsyn.dicom.moments import offset_minutes
from samsyn.endpoints.dimse import identifiers
from samsyn.endpoints.dimse.contexts import matching_of
from samsyn.endpoints.dimse.link import Link
from samsyn.errors import LimitExceeded, Mismatch, NotAllowed
from samsyn.search.find import Finder
from samsyn.search.query import Matching, Query
from samsyn.wire.assembly import Message
from samsyn.wire.dimse import FindRequest, FindResponse
from samsyn.wire.dimse_status import CANCELLED, PENDING, PENDING_WITHOUT_OPTIONAL_KEYS, SUCCESS

_PAGE_ROWS = 2_000
_TOGETHER_BYTES = 64 * limits.KIB
"""Answers that leave in one write."""


class Search:
    """Answers C-FIND with what the asking system's View shows."""

    def __init__(self, finder: Finder, gatekeeper: Gatekeeper, ae_title: str) -> None:
        self._finder = finder
        self._gatekeeper = gatekeeper
        self._ae_title = ae_title

    async def answer(self, link: Link, message: Message, request: FindRequest) -> None:
        """Sends every match as Pending, then the final status. Raises SamsynError for a refusal."""
        context = link.contexts[message.context_id]
        if not link.system.may_query:
            raise NotAllowed("this system may not query")
        if request.sop_class_uid != context.abstract_syntax:
            raise Mismatch("Affected SOP Class is not that of the context")
        question = identifiers.asked(identifiers.read(message, context), context.abstract_syntax)
        combined, fuzzy, zoned, empty = matching_of(link.extended.get(context.abstract_syntax, b""))
        offset = offset_minutes(question.timezone) if zoned else None
        matching = Matching(combined=combined, offset_minutes=offset, empty=empty)
        view = await self._gatekeeper.open_view(link.system.subject, with_rejected=link.system.sees_rejected)
        await self._gatekeeper.record_search(view, "C-FIND")
        pending = FindResponse(
            request.message_id,
            PENDING_WITHOUT_OPTIONAL_KEYS if question.ignored else PENDING,
            request.sop_class_uid,
        )
        timezone = question.timezone if zoned else ""
        query = Query(question.level, question.keys, _PAGE_ROWS, 0, fuzzy, matching, question.items)
        sent, page = 0, await self._finder.page(view, query)
        while True:
            for match in page.matches:
                if link.is_cancelled(request.message_id):
                    await link.send(
                        message.context_id, FindResponse(request.message_id, CANCELLED, request.sop_class_uid)
                    )
                    return
                identifier = identifiers.answered(match, question, self._ae_title, timezone)
                data = encode(identifier, context.transfer_syntax, question.charset)
                if link.queue(message.context_id, pending, data) >= _TOGETHER_BYTES:
                    await link.flush_queued()
            sent += len(page.rows)
            if page.end is None:
                break
            if sent >= limits.MAX_FIND_ROWS:
                raise LimitExceeded("MAX_FIND_ROWS: ask for less at a time")
            # A reader that takes its time is shown no more than it may be shown now.
            view = await view.renew(view)
            page = await self._finder.page(view, query, page.end)
        final = FindResponse(request.message_id, SUCCESS, request.sop_class_uid)
        await link.send(message.context_id, final)
