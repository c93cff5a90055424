"""The same question by C-FIND and by QIDO-RS finds the same, and what a plain reading of PS3.4 C.2.2.2 finds."""

import random
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from samsyn.clock import SystemClock
from samsyn.dicom.encoding import decode
from samsyn.endpoints.dicomweb.searching.query import parse_search
from samsyn.endpoints.dimse.identifiers import asked
from samsyn.search.find import Finder
from samsyn.search.query import Level, Query
from tests.dimse.stage import EXPLICIT, STUDY_FIND, Stage, identifier, image, store

SEED, QUESTIONS = 20241127, 400
UNIQUE = {Level.STUDY: "StudyInstanceUID", Level.SERIES: "SeriesInstanceUID", Level.IMAGE: "SOPInstanceUID"}
TEXTS = ("DT Thorax", "dt thorax", "DT_Thorax", "DT%Thorax", "a?b", "Åäö röntgen", "50% *", "")
NUMBERS = ("A1", "a1", "A_1", "A%1", "A*1", "0001", "1", "")
DAYS = ("20240101", "20240102", "20231231", "")
MOMENTS = ("235959.999", "000000", "1015", "10", "101500.5", "101500", "")
NAMES = (
    "Öberg^Åsa",
    "OBERG^ASA",
    "Öberg",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "de la Cruz^Ana",
    "Müller^Jürgen^^Dr",
    "",
)
PERSONS = {"LOKAL": 0, "LOKAL*": 1, "LOKAL?": 2, "LOKAL_": 3, "LOKAL%": 4, "LOKAL Y": 5}
OF_LEVEL = {
    Level.STUDY: {
        "PatientID": tuple(PERSONS), "PatientName": NAMES, "ReferringPhysicianName": NAMES, "StudyDate": DAYS,
        "StudyTime": MOMENTS, "StudyDescription": TEXTS, "AccessionNumber": NUMBERS,
        "ModalitiesInStudy": ("CT", "MR", "SR"),
    },
    Level.SERIES: {
        "Modality": ("CT", "MR", "SR"), "SeriesNumber": (1, 2, 0, -1, ""), "SeriesDescription": TEXTS,
        "SeriesDate": DAYS, "SeriesTime": MOMENTS,
        "PerformedProcedureStepStartDate": DAYS, "PerformedProcedureStepStartTime": MOMENTS,
    },
    Level.IMAGE: {"InstanceNumber": (1, 2, ""), "ContentDate": DAYS, "ContentTime": MOMENTS},
}  # fmt: skip


def archive(chance: random.Random) -> Iterator[Dataset]:
    for study in range(40):
        person = chance.choice(list(PERSONS))
        of_study = {name: chance.choice(values) for name, values in OF_LEVEL[Level.STUDY].items()}
        of_study |= {
            "PatientID": person,
            "PatientName": NAMES[PERSONS[person]],
            "PatientBirthDate": "19500101",
        }
        del of_study["ModalitiesInStudy"]
        for series in range(chance.choice((1, 1, 2))):
            of_series = {name: chance.choice(values) for name, values in OF_LEVEL[Level.SERIES].items()}
            uid = f"2.25.{study + 1}"
            yield image(
                SpecificCharacterSet="ISO_IR 192",
                StudyInstanceUID=uid,
                SeriesInstanceUID=f"{uid}.{series + 1}",
                SOPInstanceUID=f"{uid}.{series + 1}.1",
                **of_study,
                **of_series,
                **{name: chance.choice(values) for name, values in OF_LEVEL[Level.IMAGE].items()},
            )


def asked_of(chance: random.Random, name: str, value: str) -> str:
    """A key for a value that is there: the value itself, or something like it."""
    if name.endswith("Date"):
        ranges = ("20240101-", "-20240101", "20231231-20240101", "20240103", "20240102-20240101")
        return chance.choice((value, *ranges))
    if name.endswith("Time"):
        return chance.choice(
            (value, "10-", "-10", "1015", "10-1015", "235959-", "101500.4-101500.6", "-000000")
        )
    if name.endswith("Number") and name != "AccessionNumber":
        return chance.choice((value, "1", "0", "-1", "1\\2"))
    if name.endswith("Name"):
        more = (
            "?berg*",
            "*^*sa",
            "Öberg^*",
            "山田*",
            "Yamada*=山田*",
            "=山田^太郎",
            "*ü*",
            "muller^jurgen*",
            "De La*",
        )
        return chance.choice((value, value.upper(), folded(value), value[:3] + "*", *more))
    changed = (
        value,
        value.lower(),
        value[:2] + "*",
        "*" + value[-2:],
        "?" * len(value),
        value.replace("_", "?"),
    )
    return chance.choice((*changed, "*", "%", "*T*", "A?1\\a1", value + "\\zzz"))


def folded(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in parts if not unicodedata.combining(each))


def is_like(value: str, pattern: str) -> bool:
    signs = {"*": ".*", "?": "."}
    return (
        re.fullmatch("".join(signs.get(each) or re.escape(each) for each in pattern), value, re.S) is not None
    )


def has_in(value: str, wanted: str, shortest: str, longest: str) -> bool:
    """Whether a date or time lies in a range; both filled up to their whole length."""
    first, dash, last = wanted.partition("-")
    ends = (first, last if dash else first)
    low, high = (
        each and each + fill[len(each) :] for each, fill in zip(ends, (shortest, longest), strict=True)
    )
    whole = value + shortest[len(value) :]
    return bool(value) and (not low or whole >= low) and (not high or whole <= high)


def matches(data: Dataset, name: str, wanted: str, modalities: set[str]) -> bool:
    """PS3.4 C.2.2.2, key by key."""
    value = str(data.get(name) if data.get(name) is not None else "")
    parts = [part for part in wanted.split("\\") if part]
    if not wanted.strip("*\\"):
        return True
    if name == "ModalitiesInStudy":
        return any(is_like(one, part) for one in modalities for part in parts)
    if name.endswith("Date"):
        return has_in(value, wanted, "00000000", "99999999")
    if name.endswith("Time"):
        return has_in(value, wanted, "000000.000000", "235959.999999")
    if name.endswith("Number") and name != "AccessionNumber":
        return value != "" and int(value) in map(int, parts)
    if name.endswith("Name"):
        own = [group.rstrip("^") for group in folded(value).split("=")]
        for group in folded(wanted).split("="):
            forms = [group.rstrip("^")]
            while forms[-1].endswith("^*"):
                forms.append(forms[-1][:-2])
            if group.strip("*") and not any(is_like(each, form) for each in own for form in forms):
                return False
        return True
    return any(is_like(value, part) and (value != "" or part == "*") for part in parts)


@pytest.mark.slow
async def test_both_ways_find_what_the_standard_says(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    there = list(archive(chance))
    modalities: dict[str, set[str]] = {}
    for data in there:
        modalities.setdefault(data.StudyInstanceUID, set()).add(data.Modality)
    found_any = 0
    async with Stage(tmp_path) as stage:
        async with await stage.connect() as sender:
            for data in there:
                assert (await store(sender, data)).status == 0
        finder = Finder(stage.store, SystemClock())
        view = await stage.gatekeeper.open_view(
            stage.connections.dicom_peer("BENCH", "127.0.0.1", None).subject
        )
        for number in range(QUESTIONS):
            level = chance.choice(list(UNIQUE))
            names = [
                name
                for each in UNIQUE
                for name in OF_LEVEL[each]
                if list(UNIQUE).index(each) <= list(UNIQUE).index(level)
            ]
            keys = {}
            for name in chance.sample(names, chance.choice((1, 1, 2, 3))):
                value = chance.choice(there).get(name)
                keys[name] = asked_of(chance, name, "" if value is None else str(value))
            unique = tag_for_keyword(UNIQUE[level])
            assert unique is not None
            question = asked(
                decode(
                    identifier(QueryRetrieveLevel=level.value, SpecificCharacterSet="ISO_IR 192", **keys),
                    EXPLICIT,
                ),
                STUDY_FIND,
            )
            assert not question.ignored, keys
            by_dimse = Query(level, question.keys, limit=1_000)
            by_web = parse_search(level, urlencode(keys).encode(), {}).query
            got = [
                {str(each[unique][1][0]) for each in await finder.find(view, query)}
                for query in (by_dimse, by_web)
            ]
            expected = {
                str(data[unique].value)
                for data in there
                if all(matches(data, *key, modalities[data.StudyInstanceUID]) for key in keys.items())
            }
            assert got == [expected, expected], (number, level, keys)
            found_any += 0 < len(expected) < len(there)
    assert found_any > QUESTIONS / 4, "most questions tell something apart"
