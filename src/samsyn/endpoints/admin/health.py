"""Liveness, readiness and Prometheus metrics. Open to anybody who can reach the listener; tells no person's data."""

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure at one moment."""

    name: str
    """Prometheus name without the `samsyn_` prefix; ends in _total for what only grows."""
    help: str
    value: float


Readings = Callable[[], list[Reading]]
Ready = Callable[[], list[str]]
"""Why the service is not ready; empty = it is."""


def health_routes(ready: Ready, readings: Readings) -> list[Route]:
    """Routes /health/live, /health/ready and /metrics."""
    registry = CollectorRegistry()
    registry.register(_Figures(readings))

    async def live(request: Request) -> Response:
        """200 as long as the process answers."""
        return JSONResponse({"status": "live"})

    async def is_ready(request: Request) -> Response:
        """200 when everything that an answer needs works, 503 with reasons otherwise."""
        reasons = ready()
        if reasons:
            return JSONResponse({"status": "not ready", "reasons": reasons}, status_code=503)
        return JSONResponse({"status": "ready"})

    async def metrics(request: Request) -> Response:
        """Prometheus text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return [
        Route("/health/live", live),
        Route("/health/ready", is_ready),
        Route("/metrics", metrics),
    ]


class _Figures(Collector):
    """Asks for the figures at each scrape: rooms count, this door tells."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> list[CounterMetricFamily | GaugeMetricFamily]:
        families: list[CounterMetricFamily | GaugeMetricFamily] = []
        for reading in self._readings():
            kind = CounterMetricFamily if reading.name.endswith("_total") else GaugeMetricFamily
            families.append(kind(f"samsyn_{reading.name}", reading.help, value=reading.value))
        return families
