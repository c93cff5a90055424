"""Reports that come in by FHIR: POST of a DiagnosticReport, or of a transaction Bundle of them.

201 = filed, 200 = the same bytes were filed before, 422 = kept aside for a steward with the reason; success is
answered for a durable Receipt only. Known systems with the right to send texts, nobody else.
"""

from starlette.requests import Request

from samsyn.endpoints.fhir.answers import read_body
from samsyn.endpoints.fhir.bundles import outcome
from samsyn.endpoints.fhir.common import Resource
from samsyn.errors import NotAllowed, NotSupported
from samsyn.model.sender import Sender
from samsyn.reports.file import Filing

_TYPES = frozenset({"application/fhir+json", "application/json"})


async def file_report(request: Request, sender: Sender | None, filing: Filing) -> tuple[Resource, int]:
    """The OperationOutcome and its status. `sender`: what the system sends texts as, None = NotAllowed; other errors as
    Filing's."""
    if sender is None:
        raise NotAllowed("texts")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _TYPES:
        raise NotSupported("the body is application/fhir+json")
    filed = await filing.file_resource(sender, await read_body(request), f"fhir-{sender.name}")
    if filed.receipt.outcome == "held":
        return outcome("processing", filed.verdict.sentence), 422
    said = filed.verdict.sentence or "Filed."
    return outcome("informational", said, "information"), 201 if filed.receipt.outcome == "stored" else 200
