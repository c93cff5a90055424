"""Scanned paper: a typed Swedish referral as it comes out of a scanner, and the PDF that holds it."""

import io
import textwrap
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from samsyn_demo.drawing.fields import fractal, resize
from samsyn_demo.seed import stream

WIDTH, HEIGHT = 1240, 1754
"""A4 at 150 dots per inch."""
_INK = 38


def scan(heading: str, fields: Sequence[tuple[str, str]], stamp: str, name: str) -> Image.Image:
    """A grey page with a heading, boxed fields of typed text and a rubber stamp, a little askew and worn."""
    page = Image.new("L", (WIDTH, HEIGHT), 244)
    draw = ImageDraw.Draw(page)
    small, typed, large = (_font(size) for size in (17, 25, 34))
    _write(draw, (90, 80), heading, _INK, large)
    row = 160
    for label, text in fields:
        lines = [line for part in text.split("\n") for line in (textwrap.wrap(part, 74) or [""])]
        height = 44 + 34 * len(lines)
        draw.rectangle((84, row, WIDTH - 84, row + height), outline=96, width=2)
        _write(draw, (96, row + 8), label, 90, small)
        for number, line in enumerate(lines):
            _write(draw, (104, row + 34 + 34 * number), line, _INK, typed)
        row += height
    _stamp(page, stamp)
    return _worn(page, name)


def pdf(page: Image.Image, title: str, made: datetime) -> bytes:
    """A one-page PDF of the scan; the same input gives the same bytes."""
    buffer = io.BytesIO()
    when = made.timetuple()
    page.save(buffer, "PDF", resolution=150, title=title, quality=68, creationDate=when, modDate=when)
    return buffer.getvalue()


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


_MARKS = {"å": ("a", "ring"), "ä": ("a", "dots"), "ö": ("o", "dots"), "é": ("e", "acute"), "ü": ("u", "dots")}
"""Pillow's own font has no such letters; they are put together from letter and mark."""


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, ink: int, font: ImageFont.FreeTypeFont
) -> None:
    x, y = float(place[0]), place[1]
    for letter in text:
        base, mark = _MARKS.get(letter.lower(), (letter, ""))
        base = base.upper() if letter.isupper() else base
        draw.text((x, y), base, ink, font)
        width = font.getlength(base)
        if mark:
            top = y + font.getbbox(base)[1]
            _mark(draw, mark, x + width / 2, top - font.size * 0.13, font.size * 0.075, ink)
        x += width


def _mark(draw: ImageDraw.ImageDraw, mark: str, x: float, y: float, radius: float, ink: int) -> None:
    if mark == "dots":
        for side in (-1.9, 1.9):
            middle = x + side * radius
            draw.ellipse((middle - radius, y - radius, middle + radius, y + radius), fill=ink)
    elif mark == "ring":
        wide = radius * 1.7
        draw.ellipse(
            (x - wide, y - wide - 1, x + wide, y + wide - 1), outline=ink, width=max(1, round(radius))
        )
    else:
        draw.line(
            (x - radius, y + radius, x + 2 * radius, y - 1.5 * radius), fill=ink, width=max(2, round(radius))
        )


def _stamp(page: Image.Image, text: str) -> None:
    ink = Image.new("L", (430, 120), 0)
    draw = ImageDraw.Draw(ink)
    draw.rectangle((4, 4, 425, 115), outline=170, width=5)
    for number, line in enumerate(text.split("\n")):
        _write(draw, (26, 20 + 42 * number), line, 170, _font(30))
    turned = ink.rotate(6, expand=True)
    page.paste(70, (WIDTH - 560, HEIGHT - 380), turned)


def _worn(page: Image.Image, name: str) -> Image.Image:
    chance = stream("scan", name)
    page = page.rotate(float(chance.uniform(-1.3, 1.3)), Image.Resampling.BICUBIC, fillcolor=238)
    page = page.filter(ImageFilter.GaussianBlur(0.7))
    values = np.asarray(page, np.float32)
    stain = resize(fractal(HEIGHT // 16, WIDTH // 16, 40, 3, chance), HEIGHT, WIDTH)
    noise = chance.standard_normal((HEIGHT // 2, WIDTH // 2), dtype=np.float32)
    values = values + 2.5 * stain + 4 * resize(noise, HEIGHT, WIDTH)
    fold = np.arange(HEIGHT, dtype=np.float32)[:, None] - HEIGHT / 2
    values = values - 16 * np.exp(-((fold / 2.5) ** 2)) + 6 * np.exp(-(((fold - 6) / 4) ** 2))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
