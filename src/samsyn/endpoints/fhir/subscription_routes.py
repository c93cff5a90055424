"""The addresses under /fhir/Subscription: made, read, switched and removed by the system that they belong to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samsyn.endpoints.fhir import bundles, subscriptions
from samsyn.endpoints.fhir.answers import PRIVATE, json_answer, parameters, read_body
from samsyn.endpoints.fhir.common import Resource
from samsyn.endpoints.fhir.paging import Page, Pages
from samsyn.endpoints.fhir.search import matches, page_links, understand
from samsyn.errors import BadInput
from samsyn.exchange.subscriptions.register import SubscriptionRegister
from samsyn.model.subject import Subject

Guarded = Callable[..., Callable[[Request], object]]
_TYPES: Final = frozenset({"application/fhir+json", "application/json"})


@dataclass(frozen=True, slots=True)
class SubscriptionDependencies:
    """What this part of the door needs from the house."""

    identify: Callable[[Request], Subject]
    register: SubscriptionRegister
    pages: Pages
    base: str


def subscription_routes(needs: SubscriptionDependencies, guarded: Guarded) -> list[Route]:
    """Routes; `guarded` turns refusals into OperationOutcome."""
    door = _Door(needs)
    one = "/fhir/Subscription/{id}"
    return [
        Route("/fhir/Subscription", guarded(door.search), methods=["GET"]),
        Route("/fhir/Subscription", guarded(door.make), methods=["POST"]),
        Route("/fhir/Subscription/_search", guarded(door.search), methods=["POST"]),
        Route(f"{one}/$status", guarded(door.status), methods=["GET", "POST"]),
        Route(one, guarded(door.read), methods=["GET"]),
        Route(one, guarded(door.switch), methods=["PUT"]),
        Route(one, guarded(door.end), methods=["DELETE"]),
    ]


class _Door:
    def __init__(self, needs: SubscriptionDependencies) -> None:
        self._needs = needs

    async def search(self, request: Request) -> Response:
        """The system's own ones."""
        subject = self._needs.identify(request)
        asked = understand("Subscription", await parameters(request))
        known = [subscriptions.resource(each) for each in await self._needs.register.of(subject)]
        found = [each for each in known if matches(asked, each)]
        page = Page([], "")
        if asked.summary != "count":
            page = self._needs.pages.page(asked, ((each, ()) for each in found))
        links = page_links(self._needs.base, asked, page.next, tells_query=True)
        return json_answer(bundles.searchset(self._needs.base, len(found), links, page.resources), 200)

    async def make(self, request: Request) -> Response:
        """201 with the subscription, which stands as requested until its endpoint has answered."""
        subject = self._needs.identify(request)
        self._needs.register.subscriber(subject)
        made = await self._needs.register.make(subject, **subscriptions.understood(await _sent(request)))
        place = {"Location": f"{self._needs.base}/Subscription/{made.subscription_id}"}
        return json_answer(subscriptions.resource(made), 201, place)

    async def read(self, request: Request) -> Response:
        """One of them."""
        known = await self._needs.register.one(self._needs.identify(request), request.path_params["id"])
        resource = subscriptions.resource(known)
        return json_answer(resource, 200, {"ETag": bundles.etag(resource)})

    async def switch(self, request: Request) -> Response:
        """Off, or asked anew; what it is about is not changed but by another subscription."""
        subject, identity = self._needs.identify(request), request.path_params["id"]
        off = subscriptions.wants_off(await _sent(request))
        return json_answer(
            subscriptions.resource(await self._needs.register.switch(subject, identity, off=off)), 200
        )

    async def end(self, request: Request) -> Response:
        """Removed."""
        await self._needs.register.end(self._needs.identify(request), request.path_params["id"])
        return Response(status_code=204, headers=dict(PRIVATE))

    async def status(self, request: Request) -> Response:
        """$status of the Backport guide: how the subscription stands and how many events were told."""
        known = await self._needs.register.one(self._needs.identify(request), request.path_params["id"])
        told: Resource = subscriptions.status_of(known, self._needs.base)
        here = f"{self._needs.base}/Subscription/{known.subscription_id}/$status"
        return json_answer(
            {
                "resourceType": "Bundle",
                "type": "searchset",
                "total": 1,
                "link": [{"relation": "self", "url": here}],
                "entry": [
                    {
                        "fullUrl": f"{self._needs.base}/Parameters/{told['id']}",
                        "resource": told,
                        "search": {"mode": "match"},
                    }
                ],
            },
            200,
        )


async def _sent(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _TYPES:
        raise BadInput("the body is application/fhir+json")
    return await read_body(request)
