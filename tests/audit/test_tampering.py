"""Whatever is done to the audit journal is found: by the chain, by the index beside it, or by an anchor."""

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.audit.proof import prove
from tests.audit.tampering import WAYS, Scene, anchor_of, fill, segments
from tests.indexes import forget_index

EARLY, ALL = 70, 150
SEED = 20_260_101


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A journal of some segments, its copy at entry EARLY, and anchors of both moments."""
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 24_000)
    pristine = tmp_path / "pristine"
    await fill(pristine, 0, EARLY)
    shutil.copytree(pristine, tmp_path / "older")
    early = anchor_of(pristine)
    await fill(pristine, EARLY, ALL - EARLY)
    assert len(segments(pristine)) > 2
    return Scene(pristine, tmp_path / "older", early, anchor_of(pristine))


def attacked(scene: Scene, folder: Path, count: int) -> list[str]:
    """Attacks a fresh copy so many times, all ways in turn; the ways that were not found."""
    chance, missed = random.Random(SEED), []
    for number in range(count):
        way = WAYS[number % len(WAYS)]
        copy = folder / "attacked"
        shutil.copytree(scene.present, copy)
        way(Scene(copy, scene.older, scene.early, scene.newest), chance)
        if not prove(copy, [scene.early, scene.newest]).findings:
            missed.append(f"{number} {way.__name__}")
        shutil.rmtree(copy)
    return missed


async def test_an_untouched_journal_is_whole_to_its_last_entry(scene: Scene) -> None:
    proof = prove(scene.present, [scene.early, scene.newest])
    assert (proof.findings, proof.notes) == ([], [])
    assert (proof.entries, proof.anchored, proof.anchors) == (ALL, ALL, 2)


async def test_every_way_of_tampering_is_found(scene: Scene, tmp_path: Path) -> None:
    assert attacked(scene, tmp_path, len(WAYS)) == []


@pytest.mark.slow
async def test_a_thousand_tamperings_are_found(scene: Scene, tmp_path: Path) -> None:
    missed = attacked(scene, tmp_path, 1_000)
    assert missed == [], Counter(each.partition(" ")[2] for each in missed)
    print(f"{1_000 - len(missed)} of 1000 found (seed {SEED}, {len(WAYS)} ways)")


async def test_without_an_anchor_a_cut_at_a_record_is_not_found_and_with_the_older_one_a_later_cut_is_not(
    scene: Scene, tmp_path: Path
) -> None:
    """What anchors are for; and how far they reach."""
    shutil.rmtree(scene.present)
    shutil.copytree(scene.older, scene.present)
    assert prove(scene.present, []).findings == []
    assert prove(scene.present, [scene.early]).findings == []
    finding = prove(scene.present, [scene.newest]).findings[0]
    assert (finding.sequence, "cut off" in finding.sentence) == (EARLY + 1, True)


async def test_an_anchor_of_another_installation_s_journal_fits_nothing(scene: Scene, tmp_path: Path) -> None:
    await fill(tmp_path / "other", 1, 20)
    foreign = anchor_of(tmp_path / "other")
    assert prove(scene.present, [foreign]).findings


async def test_a_journal_without_its_index_is_still_proved(scene: Scene) -> None:
    forget_index(scene.present)
    assert prove(scene.present, [scene.newest]).findings == []
