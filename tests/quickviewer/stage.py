"""A page with the quick viewer, served with a strict Content-Security-Policy, and a browser that looks at it."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import uvicorn
from playwright.async_api import Page, async_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

STATIC = Path(__file__).parents[2] / "src" / "samsyn" / "static"
CSP = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'"
CHROMIUM = "/usr/bin/chromium"
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CAPTION = {
    "patient": "Tolvan Tolvansson",
    "number": "19121212-1212",
    "date": "2026-03-11",
    "study": "DT thorax",
    "series": "Thorax 5 mm",
    "note": "Ej för diagnostik",
}
LEVEL_STEP = 4
"""Picture n is plain grey of level n * LEVEL_STEP: what is seen tells which picture it is."""


@dataclass
class Region:
    """What the server answers; tests change it."""

    count: int = 40
    series: dict[str, Any] = field(default_factory=dict)
    delay_s: tuple[float, float] = (0.0, 0.0)
    broken: set[int] = field(default_factory=set)
    status: int = 500
    asked: list[str] = field(default_factory=list)
    base: int = 0
    draw: Callable[[int, str], bytes] | None = None
    """Gives picture n (from 0) in the window that was asked for, as PNG; otherwise they are of plain grey levels."""
    padding_bytes: int = 0
    """What each picture is larger by; a PNG ends before it."""

    def document(self) -> dict[str, Any]:
        frames = [{"url": f"/picture/{n}"} for n in range(self.count)]
        return {"caption": CAPTION, "frames": frames, "window": None, "frame_time_ms": None, **self.series}


def plain(level: int) -> bytes:
    """A grey PNG of 64 x 48 pixels."""
    return bytes(imagecodecs.png_encode(np.full((48, 64), level, np.uint8)))


def application(region: Region, language: str) -> Starlette:
    """The page, its parts, the series and its pictures."""

    async def page(_: Request) -> Response:
        html = (
            f'<!doctype html><html lang="{language}"><meta charset="utf-8"><title>Prov</title>'
            '<link rel="stylesheet" href="/quickviewer.css">'
            '<script type="module" src="/quickviewer.js"></script>'
            '<main><div class="quickviewer" data-series-url="/series.json"></div></main></html>'
        )
        return HTMLResponse(html, headers={"Content-Security-Policy": CSP})

    async def series(_: Request) -> Response:
        return JSONResponse(region.document())

    async def picture(request: Request) -> Response:
        number = int(request.path_params["number"])
        window = request.query_params.get("window", "")
        region.asked.append(f"{number} {window}".strip())
        await asyncio.sleep(random.uniform(*region.delay_s))
        if number in region.broken:
            return Response("nothing here", region.status)
        if region.draw is not None:
            return Response(region.draw(number, window), media_type="image/png")
        level = number * LEVEL_STEP + region.base
        if window:
            center, width, _ = window.split(",")
            level = round(min(max((level - float(center)) / float(width) + 0.5, 0), 1) * 255)
        return Response(
            plain(level) + bytes(region.padding_bytes),
            media_type="image/png",
            headers={"Cache-Control": "no-store"},
        )

    async def nothing(_: Request) -> Response:
        return Response(status_code=204)

    def part(name: str) -> Route:
        async def serve(_: Request) -> Response:
            return FileResponse(STATIC / name)

        return Route(f"/{name}", serve)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/series.json", series),
            Route("/picture/{number:int}", picture),
            part("quickviewer.js"),
            part("quickviewer.css"),
            Route("/favicon.ico", nothing),
        ]
    )


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """The application on a free loopback port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            server.force_exit = True
            await running


@asynccontextmanager
async def browsed(
    width: int = 1000, height: int = 800, **context: Any
) -> AsyncIterator[tuple[Page, list[str]]]:
    """An empty page in a headless browser, and the complaints of its console."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        surroundings = await browser.new_context(viewport={"width": width, "height": height}, **context)
        page = await surroundings.new_page()
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        try:
            yield page, complaints
        finally:
            await browser.close()


SEEN = """() => {
  const canvas = document.querySelector('canvas');
  const pixel = canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data;
  const text = (name) => document.querySelector('.quickviewer-' + name).textContent;
  const hasProblem = !document.querySelector('.quickviewer-problem').hidden;
  return {level: pixel[3] ? pixel[0] : null, where: text('where'), who: text('who'), what: text('what'),
          seen: text('seen'), problem: hasProblem ? text('problem-text') : '',
          shown: document.querySelector('.quickviewer').dataset.shown};
}"""
INKED = """() => {
  const canvas = document.querySelector('canvas');
  const row = canvas.getContext('2d').getImageData(0, canvas.height / 2, canvas.width, 1).data;
  const columns = [...Array(canvas.width).keys()].filter((column) => row[column * 4 + 3]);
  return [columns[0], columns.length, canvas.width];
}"""
"""First column of the middle row that the picture covers, how many it covers, and how many there are."""


async def shown(page: Page, number: int, timeout_ms: float = 60_000) -> dict[str, Any]:
    """What is seen once picture `number` (from 1) is shown."""
    await page.wait_for_selector(f'.quickviewer[data-shown="{number}"]', timeout=timeout_ms)
    seen: dict[str, Any] = await page.evaluate(SEEN)
    return seen
