"""An ECG is drawn to scale, and a waveform that lies about itself is refused."""

import imagecodecs
import numpy as np
import pytest

from samsyn.errors import BadInput, DamagedData
from samsyn.render.icons import ICON_KINDS, icon
from samsyn.render.waveform import PIXELS_PER_MM, microvolts, traced
from samsyn.render.words import Waveform, WaveformChannel

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


def ecg(samples: np.ndarray, microvolts_per_bit: float = 1.0, frequency_hz: float = 500.0) -> Waveform:
    channels = tuple(WaveformChannel(LEADS[n % 12], microvolts_per_bit) for n in range(samples.shape[1]))
    return Waveform(channels, frequency_hz, 16, True, samples.astype("<i2").tobytes())


def ink(picture: bytes) -> np.ndarray:
    return np.asarray(imagecodecs.png_decode(picture)).max(axis=2) < 100


def test_a_millivolt_is_ten_millimetres_high() -> None:
    samples = np.zeros((5_000, 1))
    samples[2_500:] = 1_000
    drawn = ink(traced(ecg(samples)).data)
    left, right = drawn[: 32 * PIXELS_PER_MM, 100:500], drawn[: 32 * PIXELS_PER_MM, 800:1200]
    height = np.flatnonzero(left.any(axis=1)).mean() - np.flatnonzero(right.any(axis=1)).mean()
    assert abs(height - 10 * PIXELS_PER_MM) < 1.0


def test_a_second_is_twenty_five_millimetres_wide() -> None:
    samples = np.zeros((5_000, 1))
    samples[1_000] = samples[1_500] = 1_500
    rows = ink(traced(ecg(samples)).data)
    spikes = np.flatnonzero(rows[: 14 * PIXELS_PER_MM, 30 * PIXELS_PER_MM :].any(axis=0))
    assert abs(int(spikes[-1]) - int(spikes[0]) - 25 * PIXELS_PER_MM) <= 3


def test_twelve_leads_stand_in_two_columns_with_a_rhythm_strip() -> None:
    picture = traced(ecg(np.zeros((5_000, 12))))
    assert picture.width > picture.height
    small = traced(ecg(np.zeros((5_000, 12))), longest_side=128)
    assert max(small.width, small.height) == 128


def test_sensitivity_and_baseline_are_applied() -> None:
    channel = WaveformChannel("I", 2.5, 100.0)
    curves = microvolts(Waveform((channel,), 500.0, 16, True, np.array([0, 10], "<i2").tobytes()))
    assert curves[0].tolist() == [100.0, 125.0]


@pytest.mark.parametrize(
    "waveform",
    [
        Waveform((), 500.0, 16, True, bytes(100)),
        Waveform((WaveformChannel("I", 1.0),) * 100, 500.0, 16, True, bytes(10_000)),
        Waveform((WaveformChannel("I", 1.0),), 0.0, 16, True, bytes(100)),
        Waveform((WaveformChannel("I", 1.0),), float("nan"), 16, True, bytes(100)),
        Waveform((WaveformChannel("I", float("inf")),), 500.0, 16, True, bytes(100)),
        Waveform((WaveformChannel("I", 1.0),), 500.0, 24, True, bytes(100)),
        Waveform((WaveformChannel("I", 1.0),), 500.0, 16, True, b"\0\0"),
    ],
)
def test_a_waveform_that_lies_about_itself_is_refused(waveform: Waveform) -> None:
    with pytest.raises(DamagedData):
        traced(waveform)


@pytest.mark.parametrize("kind", ICON_KINDS)
def test_every_kind_without_picture_has_a_sign(kind: str) -> None:
    assert imagecodecs.png_decode(icon(kind, 128).data).shape == (128, 128, 3)


def test_an_unknown_sign_is_refused() -> None:
    with pytest.raises(BadInput):
        icon("../../etc/passwd", 128)
