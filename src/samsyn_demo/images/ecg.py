"""A resting 12-lead ECG as samples, and its rhythm variants."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from samsyn_demo.seed import stream

RATE_HZ = 500
SECONDS = 10
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
MICROVOLTS_PER_STEP = 2.44

Rhythm = Literal["sinus", "fibrillation"]

_WAVES = {
    "P": (-0.17, 0.030, 110, 70),
    "Q": (-0.030, 0.010, -90, -20),
    "R": (0.0, 0.012, 820, 760),
    "S": (0.030, 0.012, -190, -120),
    "T": (0.26, 0.055, 210, 240),
}
"""Wave: (time after R in s, width in s, height in uV in lead I, in aVF)."""
_CHEST = {
    "V1": (60, -20, 190, -950, -60), "V2": (65, 0, 420, -1250, 330), "V3": (65, -20, 780, -820, 420),
    "V4": (70, -60, 1250, -420, 380), "V5": (70, -80, 1150, -210, 300), "V6": (65, -80, 900, -110, 230),
}  # fmt: skip


def samples(name: str, rhythm: Rhythm = "sinus", rate: float = 68.0) -> NDArray[np.int16]:
    """SECONDS * RATE_HZ x 12 samples in steps of MICROVOLTS_PER_STEP, leads in the order of LEADS."""
    chance = stream("ecg", name)
    time = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    beats = _beats(chance, rhythm, rate)
    leads = {lead: np.zeros_like(time) for lead in LEADS}
    for beat in beats:
        for place, (wave, (after, width, first, foot)) in enumerate(_WAVES.items()):
            if wave == "P" and rhythm == "fibrillation":
                continue
            shape = np.exp(-0.5 * ((time - beat - after) / width) ** 2)
            leads["I"] += first * shape
            leads["aVF"] += foot * shape
            for lead, heights in _CHEST.items():
                leads[lead] += heights[place] * shape
    if rhythm == "fibrillation":
        flutter = sum(
            np.sin(2 * np.pi * f * time + chance.uniform(0, 6)) * chance.uniform(14, 34)
            for f in (5.1, 6.3, 7.4)
        )
        for lead, share in (("I", 0.5), ("aVF", 0.9), ("V1", 1.4), ("V2", 0.8)):
            leads[lead] += share * flutter
    leads["II"] = leads["aVF"] + leads["I"] / 2
    leads["III"] = leads["II"] - leads["I"]
    leads["aVR"] = -(leads["I"] + leads["II"]) / 2
    leads["aVL"] = (leads["I"] - leads["III"]) / 2
    table = np.stack([leads[lead] for lead in LEADS], axis=1)
    drift = 35 * np.sin(2 * np.pi * 0.22 * time + chance.uniform(0, 6))
    table += drift[:, None] * chance.uniform(0.4, 1.2, 12) + chance.normal(0, 6, table.shape)
    return np.rint(table / MICROVOLTS_PER_STEP).astype(np.int16)


def _beats(chance: np.random.Generator, rhythm: Rhythm, rate: float) -> list[float]:
    beats, moment = [], float(chance.uniform(0.2, 0.7))
    while moment < SECONDS + 1:
        beats.append(moment)
        spread = 0.22 if rhythm == "fibrillation" else 0.02
        moment += 60 / rate * float(np.clip(1 + chance.normal(0, spread), 0.55, 1.7))
    return beats
