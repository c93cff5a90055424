"""Pictures strung together to a clip are what they were alone, as another reader sees them."""

import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from samsyn.errors import DamagedData
from samsyn.render import clip
from samsyn.render.display import encoded
from samsyn.render.words import PictureFormat, PictureOptions

GREY = np.arange(32 * 48, dtype=np.uint16).reshape(32, 48).astype(np.uint8)


def single(picture: np.ndarray) -> bytes:
    return encoded(picture, PictureOptions(PictureFormat.GIF)).data


def strung(*pictures: bytes, shown_ms: float = 40) -> bytes:
    return (
        clip.beginning(pictures[0])
        + b"".join(clip.picture(each, shown_ms) for each in pictures)
        + clip.TRAILER
    )


def frames(content: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(content)) as file:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(file)]


def test_each_picture_keeps_its_own_colours() -> None:
    one, other = np.zeros((32, 48, 3), np.uint8), np.zeros((32, 48, 3), np.uint8)
    one[:16, :, 0], one[16:, :, 2] = 200, 90
    other[:, :24, 1], other[:, 24:, 0] = 150, 70
    shown = frames(strung(single(one), single(other)))
    assert all(abs(made.astype(int) - was).max() <= 4 for made, was in zip(shown, (one, other), strict=True))


def test_an_interlaced_picture_stays_in_order() -> None:
    written = io.BytesIO()
    Image.fromarray(GREY).save(written, "GIF", interlace=True)
    assert (frames(strung(written.getvalue()))[0] == GREY[:, :, None]).all()


@pytest.mark.parametrize(("shown_ms", "told_ms"), [(40, 40), (0, 20), (33.3, 30), (1e9, 10_000)])
def test_a_frame_is_shown_as_long_as_readers_can(shown_ms: float, told_ms: int) -> None:
    with Image.open(io.BytesIO(strung(single(GREY), shown_ms=shown_ms))) as file:
        assert file.info["duration"] == told_ms


def test_what_is_cut_short_or_no_gif_is_damaged() -> None:
    whole = single(GREY)
    for length in range(0, len(whole) - 1, 7):
        with pytest.raises(DamagedData):
            clip.picture(whole[:length], 40)
    with pytest.raises(DamagedData):
        clip.picture(b"\x89PNG" + bytes(100), 40)
