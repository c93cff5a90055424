"""Every matching rule of PS3.4 C.2.2.2 as a table: one archive, one question a row, the studies that match."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from samsyn import limits
from samsyn.model.attributes import Attributes
from samsyn.search.keys import KEYS, is_returned
from samsyn.search.query import Level
from samsyn.wire.dimse import FindRequest
from samsyn.wire.user_information import ExtendedNegotiation
from tests.dimse.stage import (
    CT,
    EXPLICIT,
    PATIENT_FIND,
    QUERY_CONTEXTS,
    STUDY_FIND,
    Stage,
    ask,
    encoded,
    identifier,
    image,
    store,
)

ARCHIVE: dict[str, dict[str, Any]] = {
    "1": {
        "StudyDate": "20240301",
        "StudyTime": "220000",
        "AccessionNumber": "A-1",
        "StudyDescription": "DT hjärna",
        "ReferringPhysicianName": "Sørensen^Åsa",
        "StudyID": "S1",
        "SeriesNumber": 3,
    },
    "2": {
        "StudyDate": "20240302",
        "StudyTime": "0530",
        "AccessionNumber": "A-2",
        "StudyDescription": "DT HJÄRNA 100%",
        "PatientID": "19900101-2385",
        "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "SpecificCharacterSet": "ISO_IR 192",
        "Modality": "MR",
    },
    "3": {
        "StudyDate": "20240302",
        "StudyTime": "120000.5",
        "AccessionNumber": "a-1",
        "StudyDescription": "MR_buk",
        "PatientID": "LOKAL7",
        "PatientName": "Öberg^Élise^Anna^^",
        "Modality": "PT",
        "InstanceNumber": 7,
    },
    "4": {
        "StudyDate": "",
        "StudyTime": "",
        "AccessionNumber": "",
        "StudyDescription": "",
        "PatientID": "LOKAL8",
        "PatientName": "Öberg",
        "Modality": "CT",
    },
}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as made:
        async with await made.connect() as sender:
            for name, changes in ARCHIVE.items():
                uids = {
                    "SOPInstanceUID": f"2.25.{name}.3",
                    "StudyInstanceUID": f"2.25.{name}",
                    "SeriesInstanceUID": f"2.25.{name}.2",
                }
                assert (await store(sender, image(**{**uids, **changes}))).status == 0
        yield made


def extended(*options: int) -> dict[str, Any]:
    """The wish for these options of C-FIND, byte by byte."""
    return {"extended": (ExtendedNegotiation(STUDY_FIND, bytes(options)),)}


async def found_by(stage: Stage, keys: bytes, model: str = STUDY_FIND, **options: Any) -> str:
    """The names of the studies that match, as one text."""
    async with await stage.connect(contexts=QUERY_CONTEXTS, **options) as requestor:
        found, final = await ask(requestor, FindRequest, model, keys)
    assert final.command.status == 0
    return names_of(found)


def names_of(found: list[Attributes]) -> str:
    """The names of the studies in ARCHIVE, as one text."""
    return "".join(sorted(str(match[0x0020000D][1][0]).split(".")[2] for match in found))


SINGLE_VALUE = [
    ({"AccessionNumber": "A-1"}, "1"),  # case matters
    ({"StudyDescription": "DT hjärna"}, "1"),
    ({"StudyID": "S1"}, "1"),
    ({"PatientID": "199001012385"}, "2"),
    ({"PatientID": "LOKAL7"}, "3"),
    ({"StudyInstanceUID": "2.25.3"}, "3"),
    ({"PatientSex": "F"}, ""),
]
WILD_CARD = [
    ({"AccessionNumber": "A-?"}, "12"),
    ({"AccessionNumber": "?-1"}, "13"),
    ({"StudyDescription": "DT*"}, "12"),
    ({"StudyDescription": "*100%"}, "2"),  # % stands for itself
    ({"StudyDescription": "* *"}, "12"),  # a space stands for itself
    ({"StudyDescription": "* *\\x"}, "12"),
    ({"StudyDescription": "MR?buk"}, "3"),
    ({"StudyDescription": "DT_hj*"}, ""),  # _ stands for itself
    ({"PatientID": "LOKAL*"}, "34"),
    ({"PatientID": "LOKAL?"}, "34"),
    ({"PatientID": "LOKAL8\\19900101-2385"}, "24"),
    ({"PatientID": "LOKAL7\\1990*"}, "23"),
    ({"ModalitiesInStudy": "?T"}, "134"),
    ({"AccessionNumber": "A-1\\a*"}, "13"),
]
UNIVERSAL = [
    ({"AccessionNumber": ""}, "1234"),
    ({"AccessionNumber": "*"}, "1234"),
    ({"PatientName": "**"}, "1234"),
    ({"PatientID": "*"}, "1234"),
    ({"PatientName": "\\"}, "1234"),  # a list of nothing
    ({"AccessionNumber": "*\\"}, "1234"),
    ({"PatientName": "^\\^"}, "1234"),
    ({"StudyDate": ""}, "1234"),
    ({"StudyDate": "*", "ModalitiesInStudy": "CT"}, "14"),
]
UID_LIST = [
    ({"StudyInstanceUID": "2.25.1\\2.25.4"}, "14"),
    ({"StudyInstanceUID": "2.25.1\\2.25.77"}, "1"),
]
RANGE = [
    ({"StudyDate": "20240301"}, "1"),
    ({"StudyDate": "20240301-20240302"}, "123"),
    ({"StudyDate": "20240302-"}, "23"),
    ({"StudyDate": "-20240301"}, "1"),
    ({"StudyDate": "2024.03.01"}, "1"),
    ({"StudyTime": "-0600"}, "2"),
    ({"StudyTime": "05"}, "2"),
    ({"StudyTime": "053000"}, "2"),
    ({"StudyTime": "0530-1200"}, "23"),
    ({"StudyTime": "120000.5"}, "3"),
    ({"StudyTime": "120001-"}, "1"),
    ({"StudyDate": "20240301-20240302", "StudyTime": "0500-1200"}, "23"),  # each by itself
    ({"StudyDate": "20240301-20240302", "ModalitiesInStudy": "MR\\PT"}, "23"),
]
NAMES = [
    ({"PatientName": "TOLVANSSON^tolvan"}, "1"),
    ({"PatientName": "oberg*"}, "34"),
    ({"PatientName": "öberg^elise^ANNA"}, "3"),
    ({"PatientName": "Öberg^*"}, "34"),  # empty components need no caret
    ({"PatientName": "Öberg^Élise^Anna^^"}, "3"),
    ({"PatientName": "Yamada^Tarou"}, "2"),
    ({"PatientName": "山田^*"}, "2"),
    ({"PatientName": "=山田^太郎"}, "2"),
    ({"PatientName": "==やまだ*"}, "2"),
    ({"PatientName": "Yamada*=山田*"}, "2"),
    ({"PatientName": "Yamada*=川田*"}, ""),
    ({"PatientName": "*Tarou"}, "2"),
    ({"PatientName": "Yamada^Tarou*郎"}, "2"),
    ({"PatientName": "Tolvansson*\\Yamada*"}, "12"),
    ({"ReferringPhysicianName": "sorensen^asa"}, "1"),
    ({"ReferringPhysicianName": "SØR*"}, "1"),
]
ISSUERS = [
    ({"PatientID": "LOKAL7", "IssuerOfPatientID": "2.25.1"}, "3"),
    ({"PatientID": "LOKAL7", "IssuerOfPatientID": "2.25.9"}, ""),
    ({"IssuerOfPatientID": "2.25.1"}, "34"),
    ({"PatientID": "LOKAL*", "IssuerOfPatientID": "2.25.9"}, ""),
]


RULES = {
    "single value": SINGLE_VALUE,
    "wild card": WILD_CARD,
    "universal": UNIVERSAL,
    "list of UIDs": UID_LIST,
    "range": RANGE,
    "person name": NAMES,
    "issuer": ISSUERS,
}


@pytest.mark.parametrize("rule", RULES)
async def test_a_key_matches_as_the_standard_says(stage: Stage, rule: str) -> None:
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        for keys, expected in RULES[rule]:
            values = {"StudyInstanceUID": "", "SpecificCharacterSet": "ISO_IR 192", **keys}
            question = identifier(QueryRetrieveLevel="STUDY", **values)
            found, final = await ask(requestor, FindRequest, STUDY_FIND, question)
            assert (names_of(found), final.command.status) == (expected, 0), keys


NEGOTIATED: list[tuple[tuple[int, ...], dict[str, str], str]] = [
    ((1, 1), {"StudyDate": "20240301-20240302", "StudyTime": "2200-0600"}, "12"),
    ((1, 1), {"StudyDate": "20240302-", "StudyTime": "0600-"}, "3"),
    ((1, 1), {"StudyDate": "-20240302", "StudyTime": "-0530"}, "12"),
    ((1, 0), {"StudyDate": "20240301-20240302", "StudyTime": "2200-0600"}, ""),
    ((1, 0, 1), {"PatientName": "tolv"}, "1"),
    ((1, 0, 1), {"PatientName": "anna ober"}, "3"),
    ((1, 0, 0), {"PatientName": "tolv"}, ""),
    # 22:00 in Sweden on 1 March is 16:00 in New York; 12:00 on the 2nd is 06:00.
    ((0, 0, 0, 1), {"StudyDate": "20240301", "TimezoneOffsetFromUTC": "-0500"}, "12"),
    ((0, 1, 0, 1), {"StudyDate": "20240301", "StudyTime": "16", "TimezoneOffsetFromUTC": "-0500"}, "1"),
    ((0, 0, 0, 0), {"StudyDate": "20240301", "TimezoneOffsetFromUTC": "-0500"}, "1"),
    ((0, 0, 0, 1), {"StudyDate": "20240301"}, "1"),
    ((1, 0, 0, 0, 0, 1), {"AccessionNumber": '""'}, "4"),
    ((1, 0, 0, 0, 0, 1), {"StudyDate": '""'}, "4"),
    ((1, 0, 0, 0, 0, 1), {"StudyDate": '""', "ModalitiesInStudy": "CT"}, "4"),
    ((1, 0, 0, 0, 0, 1), {"PatientName": '""'}, ""),
    ((1, 0, 0, 0, 0, 1), {"ModalitiesInStudy": '""'}, ""),
    ((1, 0, 0, 0, 0, 0), {"AccessionNumber": '""'}, ""),
    ((1, 0, 0, 0, 0, 0, 1), {"AccessionNumber": "A-1\\A-2"}, "12"),
]


async def test_what_is_negotiated_changes_the_matching(stage: Stage) -> None:
    for options, keys, expected in NEGOTIATED:
        question = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="", **keys)
        assert await found_by(stage, question, **extended(*options)) == expected, (options, keys)


@pytest.mark.parametrize(
    ("level", "keys", "expected"),
    [
        ("SERIES", {"SeriesNumber": '""'}, "234"),  # no answer at all by PostgreSQL, once
        ("SERIES", {"SeriesNumber": '""', "BodyPartExamined": '""', "Modality": "MR"}, "2"),
        ("IMAGE", {"InstanceNumber": '""'}, ""),
        ("IMAGE", {"ContentDate": '""', "Rows": "2", "Modality": "PT"}, "3"),
    ],
)
async def test_what_has_no_value_is_found_at_every_level(
    stage: Stage, level: str, keys: dict[str, str], expected: str
) -> None:
    made = Dataset()
    made.QueryRetrieveLevel, made.StudyInstanceUID = level, ""
    for name, value in keys.items():
        made.add_new(name, "LO", value)  # as it is no number
    assert await found_by(stage, encoded(made), **extended(1, 0, 0, 0, 0, 1)) == expected


async def test_a_date_without_time_is_of_its_day_in_every_time_zone(stage: Stage) -> None:
    """Its answer tells that day too."""
    odd = image(
        SOPInstanceUID="2.25.5.3", StudyInstanceUID="2.25.5", SeriesInstanceUID="2.25.5.2", AccessionNumber="A-5",
        StudyDate="20240310", StudyTime="",
    )  # fmt: skip
    async with await stage.connect() as sender:
        assert (await store(sender, odd)).status == 0
    for offset in ("-0500", "+0000", "+0100", "+1100"):
        for day, expected in (("20240309", ""), ("20240310", "5"), ("20240311", ""), ("20240310-", "5")):
            keys = identifier(
                QueryRetrieveLevel="STUDY", StudyInstanceUID="", StudyDate=day, TimezoneOffsetFromUTC=offset
            )
            assert await found_by(stage, keys, **extended(0, 0, 0, 1)) == expected, (offset, day)


async def test_a_wild_card_that_means_too_many_persons_leaves_none_out_unsaid(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_KEY_PERSONS", 1)
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        keys = identifier(QueryRetrieveLevel="STUDY", PatientID="LOKAL*")
        found, final = await ask(requestor, FindRequest, STUDY_FIND, keys)
        assert (found, final.command.status) == ([], 0xA700)
        assert final.command.error_comment == "MAX_KEY_PERSONS"


@pytest.mark.parametrize(
    ("proposed", "answered"),
    [
        ((1,), (1,)),
        ((0,), (0,)),
        ((1, 1, 1, 1, 1, 1, 1), (1, 1, 1, 1, 0, 1, 1)),
        ((1, 1, 1, 1, 1, 1, 1, 9, 9), (1, 1, 1, 1, 0, 1, 1)),
        ((2, 255), (0, 0)),
        ((), ()),
    ],
)
async def test_an_option_is_granted_only_when_it_was_asked_for(
    stage: Stage, proposed: tuple[int, ...], answered: tuple[int, ...]
) -> None:
    async with await stage.connect(contexts=QUERY_CONTEXTS, **extended(*proposed)) as requestor:
        assert requestor.association.extended == {STUDY_FIND: bytes(answered)}


async def test_storage_tells_that_every_byte_is_kept(stage: Stage) -> None:
    wish = (ExtendedNegotiation(CT, bytes((2, 0, 3, 0, 0, 0))),)
    async with await stage.connect(contexts=[(CT, (EXPLICIT,))], extended=wish) as requestor:
        assert requestor.association.extended == {CT: bytes((2, 0, 3, 0, 0, 0))}


async def test_who_may_not_query_is_granted_no_option(stage: Stage) -> None:
    async with await stage.connect("WRITER", **extended(1, 1)) as requestor:
        assert requestor.association.extended == {}


async def test_matches_tell_their_dates_in_the_agreed_time_zone(stage: Stage) -> None:
    keys = identifier(
        QueryRetrieveLevel="STUDY",
        StudyInstanceUID="2.25.2",
        StudyDate="",
        StudyTime="",
        TimezoneOffsetFromUTC="-0500",
    )
    async with await stage.connect(contexts=QUERY_CONTEXTS, **extended(0, 0, 0, 1)) as requestor:
        (match,), _ = await ask(requestor, FindRequest, STUDY_FIND, keys)
    assert match[0x00080201][1] == ("-0500",)
    assert match[0x00080020][1] == ("20240301",)
    assert match[0x00080030][1] == ("233000",)


@pytest.mark.parametrize("offset", ["0100", "+25", "+2500", "+0075", "Z"])
async def test_an_offset_that_is_none_is_refused(stage: Stage, offset: str) -> None:
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="", TimezoneOffsetFromUTC=offset)
    async with await stage.connect(contexts=QUERY_CONTEXTS, **extended(0, 0, 0, 1)) as requestor:
        found, final = await ask(requestor, FindRequest, STUDY_FIND, keys)
    assert (found, final.command.status) == ([], 0xA900)


def with_item(sequence: str, level: str = "STUDY", **item: str) -> bytes:
    made, inner = Dataset(), Dataset()
    made.QueryRetrieveLevel, made.StudyInstanceUID = level, ""
    for name, value in item.items():
        setattr(inner, name, value)
    setattr(made, sequence, [inner])
    return encoded(made)


SEQUENCES: list[tuple[str, dict[str, str], str]] = [
    ("IssuerOfPatientIDQualifiersSequence", {"UniversalEntityID": "2.25.1"}, "34"),
    ("IssuerOfPatientIDQualifiersSequence", {"UniversalEntityID": "2.25.2"}, ""),
    ("IssuerOfPatientIDQualifiersSequence", {"UniversalEntityID": ""}, "1234"),
    ("IssuerOfAccessionNumberSequence", {"LocalNamespaceEntityID": "SE9990000001-0001"}, "1234"),
    ("IssuerOfAccessionNumberSequence", {"LocalNamespaceEntityID": "SE999*"}, "1234"),
    ("IssuerOfAccessionNumberSequence", {"LocalNamespaceEntityID": "SE5"}, ""),
]


async def test_a_sequence_matches_by_its_items(stage: Stage) -> None:
    for sequence, item, expected in SEQUENCES:
        assert await found_by(stage, with_item(sequence, **item)) == expected, (sequence, item)


async def test_a_sequence_is_answered_with_what_was_asked_of_its_items(stage: Stage) -> None:
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        keys = with_item("IssuerOfPatientIDQualifiersSequence", UniversalEntityID="2.25.1")
        found, _ = await ask(requestor, FindRequest, STUDY_FIND, keys)
        assert [match[0x00100024][1] for match in found] == [({0x00400032: ("UT", ("2.25.1",))},)] * 2
        whole = Dataset()
        whole.QueryRetrieveLevel, whole.StudyInstanceUID = "STUDY", "2.25.1"
        whole.IssuerOfAccessionNumberSequence = []
        (match,), _ = await ask(requestor, FindRequest, STUDY_FIND, encoded(whole))
        assert match[0x00080051][1] == ({0x00400031: ("UT", ("SE9990000001-0001",))},)


def requesting(*requests: dict[str, str]) -> list[Dataset]:
    items = []
    for request in requests:
        item = Dataset()
        for name, value in request.items():
            setattr(item, name, value)
        items.append(item)
    return items


async def test_a_series_is_found_by_the_order_that_it_answers(stage: Stage) -> None:
    both = [
        {"ScheduledProcedureStepID": "S1", "RequestedProcedureID": "P1", "AccessionNumber": "X1"},
        {"ScheduledProcedureStepID": "S2", "RequestedProcedureID": "P2"},
    ]
    made = image(
        SOPInstanceUID="2.25.5.3",
        StudyInstanceUID="2.25.5",
        SeriesInstanceUID="2.25.5.2",
        RequestAttributesSequence=requesting(*both),
    )
    async with await stage.connect() as sender:
        assert (await store(sender, made)).status == 0
    for item, expected in [
        ({"ScheduledProcedureStepID": "S1"}, "5"),
        ({"ScheduledProcedureStepID": "S*"}, "5"),
        ({"RequestedProcedureID": "P2"}, "5"),
        ({"AccessionNumber": "X1"}, "5"),
        ({"ScheduledProcedureStepID": "S2", "RequestedProcedureID": "P2"}, "5"),
        ({"ScheduledProcedureStepID": "S1", "RequestedProcedureID": "P2"}, ""),  # not in the same item
        ({"ScheduledProcedureStepID": "S3"}, ""),
    ]:
        keys = with_item("RequestAttributesSequence", "SERIES", **item)
        assert await found_by(stage, keys) == expected, item
    question = with_item("RequestAttributesSequence", "SERIES", ScheduledProcedureStepID="S1")
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        (match,), _ = await ask(requestor, FindRequest, STUDY_FIND, question)
    assert match[0x00400275][1] == ({0x00400009: ("SH", ("S1",))}, {0x00400009: ("SH", ("S2",))})


async def test_a_sequence_key_of_two_items_is_refused(stage: Stage) -> None:
    made = Dataset()
    made.QueryRetrieveLevel = "STUDY"
    made.IssuerOfAccessionNumberSequence = [Dataset(), Dataset()]
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        _, final = await ask(requestor, FindRequest, STUDY_FIND, encoded(made))
    assert final.command.status == 0xA900


SUPPORT = [
    ("STUDY", {"StudyInstanceUID": "2.25.1", "StudyDescription": ""}, 0xFF00),
    ("STUDY", {"StudyInstanceUID": "2.25.1", "PatientComments": ""}, 0xFF01),  # not known to exist
    ("STUDY", {"StudyInstanceUID": "2.25.1", "PatientComments": "x"}, 0xFF01),
    ("STUDY", {"StudyInstanceUID": "2.25.1", "Modality": ""}, 0xFF01),  # of another level
    ("SERIES", {"SeriesInstanceUID": "2.25.1.2", "Modality": ""}, 0xFF00),
    ("SERIES", {"SeriesInstanceUID": "2.25.1.2", "SeriesDate": ""}, 0xFF00),
    ("IMAGE", {"SOPInstanceUID": "2.25.1.3", "InstanceNumber": "1"}, 0xFF00),
]


async def test_optional_keys_that_are_not_supported_are_told_with_ff01(stage: Stage) -> None:
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        context_id = requestor.context_of(STUDY_FIND)
        assert context_id is not None
        for level, keys, pending in SUPPORT:
            question = identifier(QueryRetrieveLevel=level, **keys)
            request = FindRequest(requestor.new_message_id(), STUDY_FIND)
            told = [message.command.status async for message in requestor.ask(context_id, request, question)]
            assert told == [pending, 0], keys


async def test_a_relational_search_needs_no_unique_key_of_the_levels_above(stage: Stage) -> None:
    keys = identifier(QueryRetrieveLevel="IMAGE", StudyInstanceUID="", InstanceNumber="7", PatientName="ö*")
    assert await found_by(stage, keys, **extended(1)) == "3"
    keys = identifier(QueryRetrieveLevel="SERIES", StudyInstanceUID="", SeriesNumber="3")
    assert await found_by(stage, keys, **extended(1)) == "1"


@pytest.mark.parametrize(
    "keys",
    [
        {"StudyInstanceUID": "\\".join(f"2.25.{number}" for number in range(10_001))},
        {"StudyDescription": "*a" * 600},
        {"StudyDescription": "\\".join(["*a"] * 101)},
        {"PatientName": "^*" * 600},
        {"PatientID": "?" * 1_025},
    ],
)
async def test_a_key_that_would_cost_too_much_is_refused_by_the_name_of_its_limit(
    stage: Stage, keys: dict[str, str]
) -> None:
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        found, final = await ask(
            requestor, FindRequest, STUDY_FIND, identifier(QueryRetrieveLevel="STUDY", **keys)
        )
        assert (found, final.command.status) == ([], 0xA700)
        assert final.command.error_comment.startswith("MAX_KEY_")


@pytest.mark.parametrize(
    "keys",
    [
        {"StudyTime": "101"},
        {"StudyTime": "25:0x"},
        {"StudyDate": "-"},
        {"PatientName": "a=b=c=d"},
        {"PatientName": "a=b\\c"},
    ],
)
async def test_a_value_that_its_representation_forbids_is_refused(stage: Stage, keys: dict[str, str]) -> None:
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        _, final = await ask(
            requestor, FindRequest, STUDY_FIND, identifier(QueryRetrieveLevel="STUDY", **keys)
        )
    assert final.command.status == 0xA900


async def test_a_series_date_is_that_of_the_series_and_not_of_its_procedure_step(stage: Stage) -> None:
    """A step that began before midnight has series of the next day (PS3.4 C.2.2.2.1: a key is compared with itself)."""
    both = {
        "SeriesDate": "20240306", "SeriesTime": "0010", "PerformedProcedureStepStartDate": "20240305",
        "PerformedProcedureStepStartTime": "2350",
    }  # fmt: skip
    step, series = dict(list(both.items())[2:]), dict(list(both.items())[:2])
    async with await stage.connect() as sender:
        for number, told in enumerate((both, step, series)):
            uids = {
                name: f"2.25.9{number}.{end}"
                for end, name in enumerate(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
            }
            assert (await store(sender, image(**uids, AccessionNumber=f"S{number}", **told))).status == 0

    async def found(options: tuple[int, ...] = (), **keys: str) -> list[tuple[object, ...]]:
        question = identifier(
            QueryRetrieveLevel="SERIES", AccessionNumber="S*", **{**dict.fromkeys(both, ""), **keys}
        )
        async with await stage.connect(contexts=QUERY_CONTEXTS, **extended(*options)) as requestor:
            matches, _ = await ask(requestor, FindRequest, STUDY_FIND, question)
        return sorted(
            (*match[0x00080050][1], *match[0x00080021][1], *match[0x00400244][1]) for match in matches
        )

    assert await found() == [("S0", "20240306", "20240305"), ("S1", "20240305"), ("S2", "20240306")]
    assert [each[0] for each in await found(SeriesDate="20240306")] == ["S0", "S2"]
    assert [each[0] for each in await found(PerformedProcedureStepStartDate="20240305")] == ["S0", "S1"]
    assert await found(SeriesDate="20240305") == []
    late = {"SeriesDate": "20240305-20240306", "SeriesTime": "2300-0011"}
    assert [each[0] for each in await found((1, 1), **late)] == ["S0", "S2"]
    assert await found((1, 0), **late) == []


@pytest.mark.parametrize("level", list(Level))
async def test_a_match_carries_exactly_what_the_table_of_keys_promises(stage: Stage, level: Level) -> None:
    made = Dataset()
    made.QueryRetrieveLevel = level.value
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        for key in KEYS:
            if is_returned(key.tag, level):
                made.add_new(key.tag, "SQ" if key.kind.value == "sequence" else "LO", None)
        context_id = requestor.context_of(PATIENT_FIND)
        assert context_id is not None
        request = FindRequest(1, PATIENT_FIND)
        statuses = {
            message.command.status async for message in requestor.ask(context_id, request, encoded(made))
        }
    assert statuses == {0xFF00, 0}
