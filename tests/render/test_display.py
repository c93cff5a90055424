"""Pictures look as the header says (PS3.3 C.11), and a header that talks nonsense costs that picture at most."""

import math

import imagecodecs
import numpy as np
import pytest

from samsyn.errors import BadInput, DamagedData
from samsyn.render.colour import table_values
from samsyn.render.display import eight_bits, picture_of, usable
from samsyn.render.scaling import framed, resized
from samsyn.render.words import (
    DisplayValues,
    LookupTable,
    PictureFormat,
    PictureOptions,
    Viewport,
    Voi,
    Window,
)
from tests.render.frames import layout

PNG = PictureFormat.PNG


def grey(stored: list[int], values: DisplayValues, window: Window | None = None, **kind: object) -> list[int]:
    signed = bool(kind.get("signed"))
    pixels = np.array([stored], "i2" if signed else "u2")
    shown = eight_bits(pixels, layout(1, len(stored), **kind), values, window)  # type: ignore[arg-type]
    return [int(level) for level in shown[0]]


def test_the_linear_window_is_the_standards_formula_to_the_last_grey_level() -> None:
    # PS3.3 C.11.2.1.2.1: c=2048, w=4096 maps 0..4095 to 0..255 without a break.
    values = DisplayValues(windows=(Window(2048, 4096),))
    stored = list(range(0, 4096, 13))
    expected = [round(((x - 2047.5) / 4095 + 0.5) * 255) for x in stored]
    assert max(abs(a - b) for a, b in zip(grey(stored, values), expected, strict=True)) <= 1
    assert grey([0, 4095, 5000], values) == [0, 255, 255]


def test_a_linear_window_of_width_one_is_a_threshold() -> None:
    assert grey([99, 100, 101], DisplayValues(windows=(Window(100, 1),))) == [0, 255, 255]


def test_linear_exact_and_sigmoid_have_their_middle_at_the_centre() -> None:
    for voi in (Voi.LINEAR_EXACT, Voi.SIGMOID):
        assert grey([500], DisplayValues(windows=(Window(500, 100, voi),)))[0] in (127, 128)
    assert grey([450, 550], DisplayValues(windows=(Window(500, 100, Voi.LINEAR_EXACT),))) == [0, 255]
    assert grey([450], DisplayValues(windows=(Window(500, 100, Voi.SIGMOID),)))[0] == round(
        255 / (1 + math.e**2)
    )


def test_the_window_speaks_in_hounsfield_after_slope_and_intercept() -> None:
    values = DisplayValues(slope=2.0, intercept=-1024.0, windows=(Window(40, 400),))
    assert grey([0, 1000], values) == [0, 255]
    middle = grey([532], values)[0]
    assert 126 <= middle <= 129


def test_monochrome1_is_turned_so_that_bone_is_white_in_both_kinds() -> None:
    values = DisplayValues(windows=(Window(128, 256),))
    assert grey([0, 255], values, photometric="MONOCHROME1") == [255, 0]


def test_padding_is_black_also_in_monochrome1_and_does_not_move_a_guessed_window() -> None:
    values = DisplayValues(padding=(63_536, 63_536))
    stored = [-2000] * 50 + list(range(100, 200))
    shown = grey(stored, values, signed=True)
    assert shown[:50] == [0] * 50
    assert shown[-1] == 255
    assert 0 <= shown[50] < 10
    assert grey([0, 0, 10, 20], DisplayValues(padding=(0, 0)), photometric="MONOCHROME1")[:2] == [0, 0]


def test_a_picture_without_window_uses_what_it_holds() -> None:
    shown = grey(list(range(1000, 2000)), DisplayValues())
    assert shown[0] == 0
    assert shown[-1] == 255


@pytest.mark.parametrize("level", [0, 7, 65_535])
def test_a_picture_of_one_single_value_is_a_picture(level: int) -> None:
    assert len(set(grey([level] * 9, DisplayValues()))) == 1


@pytest.mark.parametrize(
    "window",
    [Window(40, 0), Window(40, -400), Window(math.nan, 400), Window(40, math.inf), Window(1e300, 1)],
)
def test_a_nonsense_window_of_the_header_is_passed_over_and_one_of_the_asker_is_refused(
    window: Window,
) -> None:
    assert not usable(window)
    assert grey(list(range(1000)), DisplayValues(windows=(window,)))[-1] == 255
    with pytest.raises(BadInput):
        grey([1, 2], DisplayValues(), window)


@pytest.mark.parametrize("slope", [0.0, math.nan, math.inf, -math.inf, 1e300])
def test_a_nonsense_slope_leaves_the_stored_values(slope: float) -> None:
    assert grey(list(range(1000)), DisplayValues(slope=slope, intercept=math.nan))[-1] == 255


def test_modality_and_voi_tables_are_followed_and_clamped_at_their_ends() -> None:
    table = np.arange(0, 4096, 16, dtype="<u2")
    values = DisplayValues(voi_lut=LookupTable(256, 100, 12, table.tobytes()))
    assert grey([0, 100, 355, 9000], values) == [0, 0, round(4080 / 4095 * 255), round(4080 / 4095 * 255)]
    # Sixteen bits are believed when the entries need them, also where none is white; and so are twelve.
    for entries, expected in (([0, 40_000], [0, 156]), ([0, 4_000], [0, 249])):
        table = np.array(entries, "<u2")
        assert grey([0, 1], DisplayValues(voi_lut=LookupTable(2, 0, 16, table.tobytes()))) == expected
    modality = DisplayValues(
        modality_lut=LookupTable(2, 0, 16, np.array([0, 1000], "<u2").tobytes()), windows=(Window(500, 1000),)
    )
    assert grey([0, 1, 5], modality) == [0, 255, 255]


@pytest.mark.parametrize(
    "table",
    [LookupTable(256, 0, 12, b"\0"), LookupTable(0, 0, 12, b""), LookupTable(70_000, 0, 16, bytes(140_000))],
)
def test_a_broken_table_costs_the_picture(table: LookupTable) -> None:
    with pytest.raises(DamagedData):
        grey([1], DisplayValues(voi_lut=table))


def test_palette_indices_become_their_colours_whatever_is_outside_the_table() -> None:
    entries = [
        LookupTable(3, 10, 16, (np.array(c, "<u2") << 8).tobytes()) for c in ([1, 2, 3], [4, 5, 6], [7, 8, 9])
    ]
    pixels = np.array([[0, 10, 11, 12, 255]], np.uint8)
    kind = layout(1, 5, allocated=8, photometric="PALETTE COLOR")
    shown = eight_bits(pixels, kind, DisplayValues(palette=(entries[0], entries[1], entries[2])), None)
    assert shown[0].tolist() == [[1, 4, 7], [1, 4, 7], [2, 5, 8], [3, 6, 9], [3, 6, 9]]
    with pytest.raises(DamagedData):
        eight_bits(pixels, kind, DisplayValues(), None)


def test_a_dark_channel_of_a_palette_is_as_dark_as_its_entries_say() -> None:
    bright, dark = np.array([0, 0xFF00], "<u2"), np.array([0, 0x00C0], "<u2")
    red, green, blue = (LookupTable(2, 0, 16, table.tobytes()) for table in (bright, bright, dark))
    kind = layout(1, 1, allocated=8, photometric="PALETTE COLOR")
    shown = eight_bits(np.array([[1]], np.uint8), kind, DisplayValues(palette=(red, green, blue)), None)
    assert shown.tolist() == [[[255, 255, 0]]]


SEGMENTS = [0, 2, 7, 10, 1, 3, 40, 2, 2, 0, 0]
"""Two entries, three on the way to 40, and both segments once more."""


def test_segments_of_a_palette_are_entries_a_line_or_a_copy() -> None:
    table = LookupTable(10, 0, 16, np.array(SEGMENTS, "<u2").tobytes(), is_segmented=True)
    assert table_values(table).tolist() == [7, 10, 20, 30, 40] * 2


def test_segments_of_eight_bits_are_bytes_and_their_offsets_four_of_them() -> None:
    written = bytes([0, 2, 7, 10, 1, 3, 40, 2, 2, 0, 0, 0, 0])
    table = LookupTable(10, 0, 8, written + b"\0", is_segmented=True)
    assert table_values(table).tolist() == [7, 10, 20, 30, 40] * 2
    with pytest.raises(DamagedData):
        table_values(LookupTable(10, 0, 8, written[:-1], is_segmented=True))


@pytest.mark.parametrize(
    "words",
    [
        [],
        SEGMENTS[:-1],
        [1, 3, 40, 0, 7, *range(7)],
        [0, 9, *range(9), 0, 2, 1, 2],
        [0, 0] * 500,
        [0, 1, 7, 2, 1, 6, 0],
        [0, 1, 7, 2, 1, 0xFFFF, 0xFFFF],
        [0, 1, 7, 3, 9, 9],
    ],
)
def test_segments_that_do_not_make_up_the_table_are_refused(words: list[int]) -> None:
    table = LookupTable(10, 0, 16, np.array(words, "<u2").tobytes(), is_segmented=True)
    with pytest.raises(DamagedData):
        table_values(table)


def test_a_window_as_wide_as_thirty_two_bits_is_followed() -> None:
    pixels = np.array([[0, 1 << 30, (1 << 32) - 1]], np.uint32)
    window = Window(float(1 << 30), float(1 << 31), Voi.LINEAR_EXACT)
    shown = eight_bits(pixels, layout(1, 3, allocated=32), DisplayValues(windows=(window,)), None)
    assert shown[0].tolist() == [0, 128, 255]


def test_thirty_two_bit_doses_are_shown() -> None:
    pixels = np.array([[0, 500_000, 1_000_000]], np.uint32)
    window = Window(0.5, 1.0, Voi.LINEAR_EXACT)
    shown = eight_bits(pixels, layout(1, 3, allocated=32), DisplayValues(slope=1e-6), window)
    assert shown[0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("voi", list(Voi))
@pytest.mark.parametrize(("signed", "photometric"), [(False, "MONOCHROME2"), (True, "MONOCHROME1")])
def test_what_is_looked_up_is_what_is_computed_for_every_pixel(
    voi: Voi, signed: bool, photometric: str
) -> None:
    # 32-bit samples are computed one by one: the same numbers must give the same greys by way of the kept tables,
    # also where a frame is larger than what is looked up at once, and when the table is used again.
    source = np.random.default_rng(7)
    small = source.integers(-32_768 if signed else 0, 32_768, (150, 151)).astype("i2" if signed else "u2")
    large = small.astype("i4" if signed else "u4")
    values = DisplayValues(slope=1.5, intercept=-300.0, windows=(Window(900, 2_000, voi),))
    for asked in (None, Window(40, 400, voi), Window(40, 401, voi)):
        shown = [
            eight_bits(
                pixels,
                layout(150, 151, signed=signed, photometric=photometric, allocated=bits),
                values,
                asked,
            )
            for pixels, bits in ((small, 16), (large, 32), (small, 16))
        ]
        assert (shown[0] == shown[1]).all() and (shown[2] == shown[1]).all()
        assert 0 < shown[0].mean() < 255


def test_sixteen_bit_colour_keeps_its_high_bits() -> None:
    pixels = np.full((1, 1, 3), 0xABCD, np.uint16)
    assert eight_bits(pixels, layout(1, 1, 3), DisplayValues(), None).tolist() == [[[0xAB] * 3]]


def test_what_is_not_square_becomes_square() -> None:
    pixels = np.zeros((100, 100), np.uint16)
    picture = picture_of(pixels, layout(100, 100), DisplayValues(aspect=2.0), PictureOptions())
    assert (picture.width, picture.height) == (100, 200)
    picture = picture_of(pixels, layout(100, 100), DisplayValues(aspect=0.5), PictureOptions())
    assert (picture.width, picture.height) == (200, 100)
    picture = picture_of(pixels, layout(100, 100), DisplayValues(aspect=1e9), PictureOptions())
    assert (picture.width, picture.height) == (100, 100)


def test_a_viewport_shows_its_part_in_its_size_and_mirrors_on_demand() -> None:
    pixels = np.zeros((40, 40), np.uint16)
    pixels[:, 20:] = 1000
    values = DisplayValues(windows=(Window(500, 1000),))

    def shown(view: Viewport) -> np.ndarray:
        picture = picture_of(pixels, layout(40, 40), values, PictureOptions(format=PNG, viewport=view))
        return np.asarray(imagecodecs.png_decode(picture.data))

    assert shown(Viewport(80, 20)).shape == (20, 20)
    assert set(shown(Viewport(10, 10, left=20, top=0, part_width=20, part_height=20)).ravel()) == {255}
    assert shown(Viewport(40, 40, part_width=-40))[0, 0] == 255
    columns = np.arange(100, dtype=np.uint8)[None]
    for left, right in ((0.29, 0.3), (0.7, 0.8), (0.57, 0.58)):
        part = Viewport(100, 1, left=left * 100, part_width=(right - left) * 100)
        cut = framed(columns, 1.0, PictureOptions(viewport=part))
        assert (cut.min(), cut.max()) == (round(left * 100), round(right * 100) - 1)
    for wrong in (
        Viewport(0, 10),
        Viewport(10, 100_000),
        Viewport(10, 10, left=40),
        Viewport(10, 10, left=math.nan),
    ):
        with pytest.raises(BadInput):
            shown(wrong)


def test_scaling_keeps_the_mean_downwards_and_the_ends_upwards() -> None:
    ramp = np.tile(np.linspace(0, 255, 301).astype(np.uint8), (77, 1))
    small = resized(ramp, 20, 31)
    assert small.shape == (20, 31)
    assert abs(float(small.mean()) - float(ramp.mean())) < 1.0
    large = resized(ramp, 100, 900)
    assert (large[0, 0], large[-1, -1]) == (0, 255)
    assert resized(np.full((1, 1), 9, np.uint8), 5, 5).tolist() == [[9] * 5] * 5
