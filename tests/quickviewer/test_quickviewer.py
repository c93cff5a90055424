"""The quick viewer in a real browser: fast, usable by keyboard, and never a picture under another's label."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from playwright.async_api import Page, Route

from samsyn.endpoints.dicomweb.pictures.options import WINDOW_FUNCTIONS
from samsyn.model.imaging import PixelLayout
from samsyn.render.display import eight_bits
from samsyn.render.words import DisplayValues, Voi, Window
from tests.chromium import CHROMIUM
from tests.quickviewer.stage import (
    CAPTION,
    INKED,
    LEVEL_STEP,
    SEEN,
    Region,
    application,
    browsed,
    served,
    shown,
)
from tests.render.frames import layout
from tests.waiting import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Debian's Chromium"),
]


FILTER = """() => ["slope", "intercept"].map((name) =>
    Number(document.querySelector('.quickviewer-filter feFuncR').getAttribute(name)))"""
"""What is done with the levels on the screen until the server's picture comes."""


@asynccontextmanager
async def opened(region: Region, language: str = "sv", **context: Any) -> AsyncIterator[Page]:
    async with served(application(region, language)) as address, browsed(**context) as (page, complaints):
        await page.goto(address)
        yield page
        expected = "Failed to load resource" if region.status != 200 else "nothing"
        assert [complaint for complaint in complaints if not complaint.startswith(expected)] == []


async def drawn(page: Page) -> None:
    """Waits until the server's picture has taken the preview's place."""
    async with asyncio.timeout(5):
        while await page.locator("canvas").evaluate("(canvas) => canvas.style.filter") != "":
            await asyncio.sleep(0.02)


async def test_the_first_picture_is_there_before_any_other_has_come_with_whose_it_is() -> None:
    async with served(application(Region(), "sv")) as address, browsed() as (page, complaints):
        others: list[Route] = []

        async def hold(route: Route) -> None:
            if route.request.url.endswith("/picture/0"):
                await route.continue_()
            else:
                others.append(route)

        await page.route("**/picture/*", hold)
        begun = time.perf_counter()
        await page.goto(address)
        seen = await shown(page, 1)
        seconds = time.perf_counter() - begun
        assert seen["level"] == 0
        assert seen["who"] == "Tolvan Tolvansson  19121212-1212"
        assert seen["what"] == "2026-03-11 · DT thorax · Thorax 5 mm"
        assert seen["where"] == "Bild 1 av 40"
        assert "Ej för diagnostik" in seen["seen"]
        assert complaints == []
        await until(lambda: len(others) == 5)
        print(f"first picture {seconds:.2f} s after the address was entered")


async def test_wheel_arrows_pages_home_end_and_slider_scroll_the_stack() -> None:
    async with opened(Region()) as page:
        await shown(page, 1)
        stage = page.locator(".quickviewer-stage")
        await stage.hover()
        await page.mouse.wheel(0, 100)
        assert (await shown(page, 2))["level"] == LEVEL_STEP
        await stage.focus()
        for key, number in [
            ("ArrowDown", 3),
            ("ArrowRight", 4),
            ("ArrowUp", 3),
            ("PageDown", 13),
            ("End", 40),
            ("ArrowDown", 40),
            ("PageUp", 30),
            ("Home", 1),
        ]:
            await page.keyboard.press(key)
            seen = await shown(page, number)
            assert seen["where"] == f"Bild {number} av 40"
            assert seen["level"] == (number - 1) * LEVEL_STEP
        await page.locator(".quickviewer-slider").fill("17")
        assert (await shown(page, 17))["level"] == 16 * LEVEL_STEP


async def test_what_is_seen_is_always_what_the_label_names_however_late_the_answers_come() -> None:
    region = Region(count=60, delay_s=(0.005, 0.25))
    watch = f"""() => {{
      window.torn = []; window.looks = 0;
      const look = () => {{
        const seen = ({SEEN})();
        const named = /^Bild (\\d+) /.exec(seen.where);
        if (seen.level !== null) {{
          window.looks++;
          if (!named || seen.level !== (Number(named[1]) - 1) * {LEVEL_STEP}) window.torn.push(seen);
        }} else if (named && !seen.problem) window.torn.push(seen);
        requestAnimationFrame(look);
      }};
      look();
    }}"""
    async with opened(region) as page:
        await shown(page, 1)
        await page.evaluate(watch)
        await page.locator(".quickviewer-stage").focus()
        keys = ["PageDown", "PageDown", "ArrowUp", "End", "PageUp", "Home", "ArrowDown", "PageDown"] * 6
        for key in keys:
            await page.keyboard.press(key)
            await asyncio.sleep(0.02)
        await page.keyboard.press("End")
        await shown(page, 60)
        assert await page.evaluate("window.torn") == []
        assert await page.evaluate("window.looks") > 20


async def test_a_picture_that_can_not_be_shown_leaves_no_other_one_on_the_screen() -> None:
    region = Region(broken={1})
    async with opened(region) as page:
        await shown(page, 1)
        await page.locator(".quickviewer-stage").focus()
        await page.keyboard.press("ArrowDown")
        await page.wait_for_selector(".quickviewer-problem:not([hidden])")
        seen = await page.evaluate(SEEN)
        assert seen["problem"] == "Bilden kunde inte visas"
        assert seen["level"] is None
        assert seen["where"] == "Bild 2 av 40"
        assert seen["who"].startswith("Tolvan")
        await page.keyboard.press("ArrowDown")
        assert (await shown(page, 3))["problem"] == ""
        await page.keyboard.press("ArrowUp")
        await page.wait_for_selector(".quickviewer-problem:not([hidden])")
        region.broken.clear()
        await page.get_by_role("button", name="Försök igen").click()
        assert (await shown(page, 2))["level"] == LEVEL_STEP


async def test_an_ended_session_is_told_as_such() -> None:
    async with opened(Region(broken={0}, status=401)) as page:
        await page.wait_for_selector(".quickviewer-problem:not([hidden])")
        assert "utloggad" in (await page.evaluate(SEEN))["problem"]


async def test_without_knowing_whose_they_are_no_picture_is_shown() -> None:
    region = Region(series={"caption": {"patient": "Tolvan Tolvansson", "number": ""}})
    async with opened(region) as page:
        await page.wait_for_selector(".quickviewer-problem:not([hidden])")
        seen = await page.evaluate(SEEN)
        assert seen["level"] is None
        assert "patient saknas" in seen["problem"]
        assert region.asked == []


async def test_another_series_in_the_same_place_leaves_nothing_of_the_first() -> None:
    region = Region()
    async with opened(region) as page:
        await shown(page, 1)
        region.base, region.delay_s = 100, (0.3, 0.3)
        region.series = {"caption": {"patient": "Beda Bedasson", "number": "19460101-2393"}}
        await page.evaluate("document.querySelector('.quickviewer').dataset.seriesUrl = '/series.json?2'")
        await page.wait_for_selector('.quickviewer[data-shown=""]')
        seen = await page.evaluate(SEEN)
        assert (seen["level"], seen["who"]) == (None, "")
        seen = await shown(page, 1)
        assert (seen["level"], seen["who"]) == (100, "Beda Bedasson  19460101-2393")


async def test_dragging_turns_the_window_at_once_and_the_server_draws_it_in_the_end() -> None:
    region = Region(series={"modality": "CT", "window": {"center": 40, "width": 400}, "start": 20})
    async with opened(region) as page:
        await shown(page, 21)
        box = await page.locator(".quickviewer-stage").bounding_box()
        assert box is not None
        x, y = box["x"] + 300, box["y"] + 300
        region.delay_s = (0.4, 0.4)
        await page.mouse.move(x, y)
        await page.mouse.down()
        await page.mouse.move(x + 64, y + 32, steps=8)
        await asyncio.sleep(0.1)
        assert "url(" in await page.locator("canvas").evaluate("(canvas) => canvas.style.filter")
        assert "C 90  W 500" in (await page.evaluate(SEEN))["seen"]
        await page.mouse.up()
        await drawn(page)
        seen = await page.evaluate(SEEN)
        assert seen["level"] == round(((80 - 90) / 500 + 0.5) * 255)
        assert region.asked.count("20 90,500,linear") == 1
        during = [
            asked for asked in region.asked if asked.startswith("20 ") and not asked.endswith("90,500,linear")
        ]
        assert len(during) <= 3
        assert await page.locator(".quickviewer-select").first.input_value() == "custom"


async def test_the_preview_of_a_window_is_what_the_server_will_draw() -> None:
    region = Region(count=1, base=90, series={"window": {"center": 128, "width": 256}})
    async with opened(region) as page:
        await shown(page, 1)
        region.delay_s = (1.5, 1.5)
        await page.locator(".quickviewer-stage").focus()
        await page.keyboard.press("Shift+ArrowDown")
        slope, intercept = await page.evaluate(FILTER)
        step = round(256 / 20)
        predicted = 90 / 255 * slope + intercept
        # The first picture is 90/255 dark under its own window; the centre moved up by one step.
        assert abs(predicted - (90 / 255 - step / 256)) < 0.01


def drawn_by_the_server(kinds: list[PixelLayout], stored: int, values: DisplayValues) -> Any:
    """Pictures of one stored value each, in the asked-for window, or in their header's."""

    def draw(number: int, window: str) -> bytes:
        center, width, function = window.split(",") if window else ("", "", "")
        asked = Window(float(center), float(width), WINDOW_FUNCTIONS[function]) if window else None
        pixels = np.full((48, 64), stored, np.int16)
        return bytes(imagecodecs.png_encode(eight_bits(pixels, kinds[number], values, asked)))

    return draw


@pytest.mark.parametrize("voi", [Voi.LINEAR, Voi.LINEAR_EXACT])
@pytest.mark.parametrize(
    "photometrics", [("MONOCHROME2",) * 2, ("MONOCHROME1",) * 2, ("MONOCHROME2", "MONOCHROME1")]
)
async def test_the_preview_of_every_picture_is_what_our_server_will_draw(
    voi: Voi, photometrics: tuple[str, str]
) -> None:
    own = Window(40, 60, voi)
    kinds = [layout(48, 64, signed=True, photometric=photometric) for photometric in photometrics]
    draw = drawn_by_the_server(kinds, -13, DisplayValues(slope=2.0, intercept=60.0, windows=(own,)))
    told = {"center": own.center, "width": own.width, "function": voi.value}
    frames: list[dict[str, Any]] = [{"url": f"/picture/{number}"} for number in range(2)]
    first, last = (photometric == "MONOCHROME1" for photometric in photometrics)
    if first != last:
        frames[1]["inverted"] = last
    series = {"modality": "MR", "window": told, "inverted": first, "frames": frames}
    region = Region(count=2, series=series, draw=draw)
    async with opened(region) as page:
        await shown(page, 1)
        await page.locator(".quickviewer-stage").focus()
        for number in (1, 2):
            if number == 2:
                await page.keyboard.press("r")
                await page.keyboard.press("End")
            before = (await shown(page, number))["level"]
            region.delay_s = (1.5, 1.5)
            for key in ("ArrowLeft",) * 4 + ("ArrowDown",):
                await page.keyboard.press(f"Shift+{key}")
            slope, intercept = await page.evaluate(FILTER)
            region.delay_s = (0.0, 0.0)
            await drawn(page)
            after = (await page.evaluate(SEEN))["level"]
            assert 0 < after < 255
            assert abs(before - after) > 8
            assert abs(before * slope + intercept * 255 - after) <= 1.5


async def test_a_window_of_few_units_is_told_and_moved_by_parts_of_them() -> None:
    window = {"center": 1.15, "width": 2.3, "function": "LINEAR_EXACT"}
    region = Region(count=1, series={"modality": "RTDOSE", "window": window})
    async with opened(region) as page:
        assert "C 1,15  W 2,3" in (await shown(page, 1))["seen"]
        await page.locator(".quickviewer-stage").focus()
        await page.keyboard.press("Shift+ArrowLeft")
        await page.keyboard.press("Shift+ArrowDown")
        await drawn(page)
        assert region.asked[-1] == "0 1.26,2.18,linear-exact"
        assert "C 1,26  W 2,18" in (await page.evaluate(SEEN))["seen"]


async def test_ct_presets_are_chosen_by_name_and_by_number_and_reset_goes_back() -> None:
    region = Region(series={"modality": "CT", "window": {"center": 40, "width": 400}})
    async with opened(region) as page:
        await shown(page, 1)
        preset = page.locator(".quickviewer-select").first
        options = await preset.locator("option").all_inner_texts()
        assert options == ["Bildens eget", "Lunga", "Mjukdel", "Skelett", "Hjärna", "Eget"]
        await preset.select_option(label="Lunga")
        await drawn(page)
        assert "C -600  W 1500" in (await page.evaluate(SEEN))["seen"]
        await page.locator(".quickviewer-stage").focus()
        await page.keyboard.press("5")
        assert "C 40  W 80" in (await page.evaluate(SEEN))["seen"]
        await page.keyboard.press("r")
        assert "C 40  W 400" in (await page.evaluate(SEEN))["seen"]
        assert await preset.input_value() == "own"


async def test_colour_pictures_have_no_window() -> None:
    async with opened(Region(count=1)) as page:
        seen = await shown(page, 1)
        assert "W" not in seen["seen"]
        assert (
            await page.locator(".quickviewer-select").first.count() == 0
            or not await page.locator(".quickviewer-select").first.is_visible()
        )
        assert not await page.locator(".quickviewer-slider").is_visible()


async def test_zoom_pan_and_fit() -> None:
    async with opened(Region(count=1)) as page:
        await shown(page, 1)
        _, whole, _ = await page.evaluate(INKED)
        await page.get_by_role("button", name="Förminska").click()
        _, smaller, _ = await page.evaluate(INKED)
        assert abs(smaller - whole / 1.25) < 4
        await page.locator(".quickviewer-stage").focus()
        await page.keyboard.press("0")
        assert (await page.evaluate(INKED))[1] == whole
        for _ in range(3):
            await page.keyboard.press("-")
        await page.keyboard.press("Alt+ArrowLeft")
        left, covered, width = await page.evaluate(INKED)
        assert abs((width - covered) / 2 + 40 - left) <= 2


async def test_a_cine_runs_at_its_own_frame_rate() -> None:
    region = Region(count=30, series={"frame_time_ms": 40})
    async with opened(region) as page:
        await shown(page, 1)
        while len(region.asked) < 30:
            await asyncio.sleep(0.05)
        await page.evaluate("""() => { window.changes = [];
          new MutationObserver(() => window.changes.push([performance.now(),
            Number(document.querySelector('.quickviewer').dataset.shown)]))
            .observe(document.querySelector('.quickviewer'), {attributeFilter: ['data-shown']}); }""")
        await page.get_by_role("button", name="Spela").click()
        await asyncio.sleep(2.5)
        assert "25 bilder/s" in (await page.evaluate(SEEN))["seen"]
        await page.get_by_role("button", name="Pausa").click()
        changes = await page.evaluate("window.changes")
        (first, from_picture), (last, to_picture) = changes[0], changes[-1]
        turns = sum(1 for a, b in pairwise(changes) if b[1] < a[1])
        passed = to_picture - from_picture + 30 * turns
        rate = passed / (last - first) * 1000
        print(f"{rate:.1f} frames per second, 25 wanted")
        assert 23.5 < rate < 26.5


async def test_touch_scrolls_the_stack_and_two_fingers_zoom() -> None:
    async with opened(Region(), has_touch=True, width=400, height=700) as page:
        await shown(page, 1)
        client = await page.context.new_cdp_session(page)

        async def touch(kind: str, *points: tuple[float, float]) -> None:
            fingers = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
            await client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

        await touch("touchStart", (200, 400))
        for y in range(410, 500, 10):
            await touch("touchMove", (200, float(y)))
        await touch("touchEnd")
        number = int(await page.locator(".quickviewer-slider").input_value())
        assert number > 3
        await shown(page, number)
        await page.get_by_role("button", name="Förminska").click()
        _, before, _ = await page.evaluate(INKED)
        await touch("touchStart", (180, 400), (220, 400))
        await touch("touchMove", (170, 400), (230, 400))
        await touch("touchEnd")
        assert (await page.evaluate(INKED))[1] > before
        assert (await page.evaluate(SEEN))["where"] == f"Bild {number} av 40"


async def test_it_speaks_english_and_has_names_for_everything_that_can_be_used() -> None:
    region = Region(series={"modality": "CT", "window": {"center": 40, "width": 400}})
    async with opened(region, language="en") as page:
        assert (await shown(page, 1))["where"] == "Picture 1 of 40"
        for name in ("Zoom in", "Zoom out", "Fit", "Reset", "Play"):
            assert await page.get_by_role("button", name=name, exact=True).count() == 1, name
        for name in ("Window", "Drag to", "Speed"):
            assert await page.get_by_role("combobox", name=name, exact=True).count() == 1, name
        assert await page.get_by_role("slider", name="Picture number", exact=True).count() == 1
        nameless = await page.evaluate(
            "() => [...document.querySelectorAll('button, select, input, [tabindex]')].filter((node) => "
            "!node.ariaLabel && !node.textContent && !node.labels?.length).length"
        )
        assert nameless == 0


@pytest.mark.parametrize(("width", "stage"), [(320, ""), (390, ""), (1_000, ""), (1_000, "480px")])
async def test_no_line_about_the_picture_covers_another(width: int, stage: str) -> None:
    window = {"center": -600, "width": 1500}
    frames = [{"url": f"/picture/{number % 40}"} for number in range(2_000)]
    region = Region(
        series={"modality": "CT", "window": window, "sides": ["R", "L", "A", "P"], "frames": frames}
    )
    async with opened(region, width=width, height=700) as page:
        await shown(page, 1)
        await page.evaluate("(wide) => { document.querySelector('.quickviewer').style.width = wide; }", stage)
        await page.evaluate("document.querySelector('.quickviewer-stage').focus()")
        await page.keyboard.press("End")
        assert (await shown(page, 2_000))["where"] == "Bild 2000 av 2000"
        boxes = await page.evaluate(
            "() => ['where', 'seen', 'lower', 'left', 'right'].map((name) => {"
            " const box = document.querySelector(`.quickviewer-${name}`).getBoundingClientRect();"
            " return [name, box.left, box.top, box.right, box.bottom]; })"
        )
        for (one, *a), (other, *b) in combinations(boxes, 2):
            is_apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
            assert is_apart, (one, other)


async def test_a_viewer_that_leaves_the_page_stops_asking() -> None:
    region = Region(delay_s=(0.05, 0.05))
    async with opened(region) as page:
        await shown(page, 1)
        await page.evaluate("document.querySelector('.quickviewer').remove()")
        await asyncio.sleep(0.3)
        asked = len(region.asked)
        await asyncio.sleep(0.3)
        assert len(region.asked) == asked


HELD_DECODING = """() => {
  const real = window.createImageBitmap.bind(window);
  window.held = [];
  window.createImageBitmap = (blob) => new Promise((resolve) => window.held.push(() => resolve(real(blob))));
  window.letGo = () => { window.createImageBitmap = real; for (const each of window.held) each(); };
}"""
"""From now on pictures are decoded when the test lets them, as on a machine that has much else to do."""


async def test_a_picture_that_is_decoded_after_its_series_was_left_is_not_shown_as_the_next_ones() -> None:
    region = Region()
    async with opened(region) as page:
        await shown(page, 1)
        stage = page.locator(".quickviewer-stage")
        await stage.focus()
        await page.evaluate(HELD_DECODING)
        await page.keyboard.press("ArrowDown")
        await page.wait_for_function("window.held.length > 0")
        region.base = 100
        region.series = {"caption": {"patient": "Beda Bedasson", "number": "19460101-2393"}}
        await page.evaluate("document.querySelector('.quickviewer').dataset.seriesUrl = '/series.json?2'")
        await page.wait_for_selector('.quickviewer[data-shown=""]')
        await page.evaluate("window.letGo()")
        await shown(page, 1)
        await page.keyboard.press("ArrowDown")
        seen = await shown(page, 2)
        assert (seen["level"], seen["who"]) == (100 + LEVEL_STEP, "Beda Bedasson  19460101-2393")


async def test_an_answer_to_an_earlier_opening_of_the_same_series_does_not_take_the_place_of_the_later() -> (
    None
):
    region = Region()
    async with opened(region) as page:
        await shown(page, 1)
        held: list[Route] = []

        async def hold_first(route: Route) -> None:
            if held:
                await route.continue_()
            else:
                held.append(route)

        await page.route("**/series.json?a", hold_first)
        for address in ("/series.json?a", "/series.json?b", "/series.json?a"):
            await page.evaluate(
                "(address) => { document.querySelector('.quickviewer').dataset.seriesUrl = address; }",
                address,
            )
            await page.evaluate("new Promise(requestAnimationFrame)")
        await shown(page, 1)
        await page.locator(".quickviewer-stage").focus()
        await page.keyboard.press("PageDown")
        await shown(page, 11)
        earlier = {**region.document(), "caption": {"patient": "Beda Bedasson", "number": "19460101-2393"}}
        await held[0].fulfill(json=earlier)
        await page.keyboard.press("ArrowDown")
        assert (await shown(page, 12))["who"] == "Tolvan Tolvansson  19121212-1212"


async def test_a_drag_that_another_series_interrupts_leaves_the_next_one_fetched_ahead() -> None:
    region = Region(series={"modality": "CT", "window": {"center": 40, "width": 400}})
    async with opened(region) as page:
        await shown(page, 1)
        box = await page.locator(".quickviewer-stage").bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + 300, box["y"] + 300)
        await page.mouse.down()
        await page.mouse.move(box["x"] + 330, box["y"] + 300)
        region.series = {}
        region.asked.clear()
        await page.evaluate("document.querySelector('.quickviewer').dataset.seriesUrl = '/series.json?2'")
        await shown(page, 1)
        await page.mouse.up()
        await until(lambda: str(region.count - 1) in region.asked)


async def test_a_series_that_is_larger_than_what_is_kept_is_not_fetched_again_and_again() -> None:
    region = Region(count=60, padding_bytes=2 * 1024 * 1024)
    async with opened(region) as page:
        await shown(page, 1)
        await page.locator(".quickviewer-stage").focus()
        for number in (11, 21, 31, 41, 51, 60):
            await page.keyboard.press("PageDown")
            assert (await shown(page, number))["level"] == (number - 1) * LEVEL_STEP
        await until(lambda: len(set(region.asked)) == region.count)
        assert len(region.asked) == region.count


async def test_what_the_series_has_besides_its_pictures_is_told_on_the_picture_and_where_there_is_none() -> (
    None
):
    left_out = {"caption": {**CAPTION, "left_out": "Visas inte här: 3 filmer"}}
    async with opened(Region(series=left_out)) as page:
        await shown(page, 1)
        assert await page.locator(".quickviewer-left-out:visible").inner_text() == "Visas inte här: 3 filmer"
        head = await page.locator(".quickviewer-left-out").bounding_box()
        assert head is not None and head["height"] < 40
    async with opened(Region(count=0, series=left_out)) as page:
        told = "Serien har inga bilder att visa. Visas inte här: 3 filmer"
        await page.wait_for_selector(f".quickviewer-problem-text:has-text('{told}')")


async def test_a_picture_that_was_lost_on_its_way_comes_by_itself_when_there_is_contact_again() -> None:
    async with served(application(Region(), "sv")) as address, browsed() as (page, _):
        lost: list[Route] = []
        is_lost = True

        async def fail(route: Route) -> None:
            if not is_lost:
                await route.continue_()
            else:
                lost.append(route)
                await route.abort()

        await page.route("**/series.json", fail)
        await page.goto(address)
        await page.wait_for_selector(".quickviewer-problem-text:has-text('Ingen kontakt just nu')")
        await until(lambda: len(lost) > 1)
        is_lost = False
        assert (await shown(page, 1))["problem"] == ""


async def test_an_overburdened_servers_refusal_of_one_picture_passes_by_itself() -> None:
    async with served(application(Region(), "sv")) as address, browsed() as (page, _):
        asked: list[str] = []

        async def refuse(route: Route) -> None:
            asked.append(route.request.url)
            if len(asked) < 3:
                await route.fulfill(status=503)
            else:
                await route.continue_()

        await page.route("**/picture/3", refuse)
        await page.goto(address)
        await shown(page, 1)
        await page.focus(".quickviewer-stage")
        for _ in range(3):
            await page.keyboard.press("ArrowDown")
        assert (await shown(page, 4))["who"].startswith("Tolvan")
        assert len(asked) == 3
