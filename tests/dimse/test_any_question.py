"""Whatever a peer asks for, a search answers or refuses: no text of a key reaches an error of the index."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from samsyn.dicom.encoding import decode, encode
from samsyn.endpoints.dimse import identifiers
from samsyn.endpoints.dimse.commitment import asked as asked_to_commit
from samsyn.endpoints.dimse.contexts import PATIENT_ROOT_FIND
from samsyn.errors import SamsynError
from samsyn.model.attributes import Attributes
from samsyn.model.predicate import Everything
from samsyn.search import answers, matching, moments
from samsyn.search.find import _FINDERS
from samsyn.search.keys import ITEM_KEYS, KEYS
from samsyn.search.query import Level, Matching, Query
from samsyn.store.index.port import IndexConnection
from samsyn.store.index.sqlite import SqliteIndex
from samsyn.store.objects.series_objects import SeriesObjects
from tests.dimse.stage import EXPLICIT, Stage, image, store
from tests.indexes import index_of

TEXTS = some.text(
    some.sampled_from("A1 *?%_^=\\-.:\"'[]é山\x00") | some.characters(codec="utf-8"), max_size=24
) | (
    some.sampled_from(
        ["20240301", "20240301-", "-1200", "10-11", '""', "9" * 30, "*", "2.25.1\\2.25.2", "^*^*"]
    )
)
TAGS = some.sampled_from([key.tag for key in KEYS])
ITEMS = some.sampled_from(sorted(ITEM_KEYS))
OPTIONS = some.builds(
    Matching,
    combined=some.booleans(),
    offset_minutes=some.none() | some.integers(-840, 840),
    empty=some.booleans(),
)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexConnection]:
    """The index of an archive with one image, read as searches read it."""
    folder = Path(tmp_path_factory.mktemp("archive"))

    async def fill() -> None:
        async with Stage(folder) as stage, await stage.connect() as sender:
            await store(sender, image())

    asyncio.run(fill())
    index = index_of(folder) or SqliteIndex(folder / "index.sqlite")
    opened = index.open_reader(SeriesObjects(folder / "objects"))
    yield opened
    opened.close()
    index.close()


@given(
    level=some.sampled_from(Level),
    keys=some.dictionaries(TAGS, TEXTS, max_size=4),
    items=some.dictionaries(ITEMS, TEXTS, max_size=2),
    fuzzy=some.booleans(),
    options=OPTIONS,
)
def test_every_text_of_every_key_is_matched_or_refused(
    connection: IndexConnection,
    level: Level,
    keys: dict[int, str],
    items: dict[tuple[int, int], str],
    fuzzy: bool,
    options: Matching,
) -> None:
    query = Query(level, keys, 100, 0, fuzzy, options, items)
    try:
        conditions = matching.conditions_of(query)
    except SamsynError:
        return
    rows = _FINDERS[level](connection, Everything(), conditions, 100, 0)
    for found in answers.from_rows(connection, rows, level, frozenset()):
        told = found if options.offset_minutes is None else moments.told_at(found, options.offset_minutes)
        assert encode(told, EXPLICIT)


ATTRIBUTES = some.dictionaries(
    TAGS | some.sampled_from([0x00080052, 0x00080201, 0x00081195, 0x00081199, 0x00100020]),
    some.tuples(
        some.sampled_from(["LO", "SH", "UI", "PN", "DA", "TM", "CS", "IS", "US", "SQ", "OB", "UN", "FD"]),
        some.lists(
            TEXTS
            | some.integers(-5, 70_000)
            | some.dictionaries(TAGS, some.just(("LO", ("x",))), max_size=2),
            max_size=3,
        ).map(tuple),
    ),
    max_size=6,
)


@given(attributes=ATTRIBUTES)
def test_every_identifier_is_understood_or_refused(attributes: Attributes) -> None:
    for read in (
        lambda identifier: identifiers.asked(identifier, PATIENT_ROOT_FIND),
        lambda identifier: identifiers.targets(identifier, PATIENT_ROOT_FIND),
        asked_to_commit,
    ):
        for identifier in (attributes, attributes | {0x00080052: ("CS", ("STUDY",))}):
            try:
                question = read(identifier)
            except SamsynError:
                continue
            if isinstance(question, identifiers.Asked):
                assert identifiers.answered({}, question, "SAMSYN")


@given(data=some.binary(max_size=200))
def test_every_run_of_bytes_is_an_identifier_or_refused(data: bytes) -> None:
    for syntax in (EXPLICIT, "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"):
        try:
            identifier = decode(data, syntax)
            identifiers.asked(identifier, PATIENT_ROOT_FIND)
        except SamsynError:
            continue
