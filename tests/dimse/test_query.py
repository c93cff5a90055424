"""C-FIND: only keys that were asked for, only what the View shows, and C-CANCEL works."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from samsyn import limits
from samsyn.access import view
from samsyn.dicom.encoding import decode
from samsyn.endpoints.dimse import query
from samsyn.search.find import Finder
from samsyn.search.pages import Page
from samsyn.store.transaction import Transaction
from samsyn.wire.assembly import Message
from samsyn.wire.dimse import CancelRequest, FindRequest, FindResponse
from tests.dimse.stage import (
    CT,
    EXPLICIT,
    IMPLICIT,
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


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as made:
        async with await made.connect() as sender:
            for number in range(3):
                study = image(
                    SOPInstanceUID=f"2.25.100{number}",
                    StudyInstanceUID=f"2.25.10{number}",
                    SeriesInstanceUID=f"2.25.110{number}",
                    StudyDate=f"2024030{number + 1}",
                    AccessionNumber=f"A{number}",
                )
                assert (await store(sender, study)).status == 0
        yield made


async def test_studies_of_a_person_are_found_by_any_written_form_of_the_number(stage: Stage) -> None:
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        for number in ("191212121212", "19121212-1212", "121212+1212"):
            keys = identifier(QueryRetrieveLevel="STUDY", PatientID=number, StudyInstanceUID="")
            found, final = await ask(requestor, FindRequest, STUDY_FIND, keys)
            assert len(found) == 3, number
            assert final.command.status == 0


@pytest.mark.parametrize(
    ("asked", "description", "answered", "told"),
    [
        ("ISO_IR 100", "DT hjärna", "ISO_IR 100", "DT hjärna".encode("latin-1")),
        ("\\ISO 2022 IR 100", "DT hjärna", "ISO_IR 100", "DT hjärna".encode("latin-1")),
        ("ISO_IR 100", "DT ≥ 3 hjärna", "ISO_IR 192", "DT ≥ 3 hjärna".encode()),
        ("ISO_IR 192", "DT hjärna", "ISO_IR 192", "DT hjärna".encode()),
        ("", "DT hjärna", "ISO_IR 192", "DT hjärna".encode()),
    ],
)
async def test_who_asks_in_latin_1_is_answered_in_it_where_every_text_fits(
    stage: Stage, asked: str, description: str, answered: str, told: bytes
) -> None:
    """Older systems show nothing else; the answer says which it is (PS3.4 C.4.1.1.3.2)."""
    other = image(
        SOPInstanceUID="2.25.9", StudyInstanceUID="2.25.8", SeriesInstanceUID="2.25.7", AccessionNumber="A9",
        SpecificCharacterSet="ISO_IR 192", StudyDescription=description,
    )  # fmt: skip
    async with await stage.connect() as sender:
        assert (await store(sender, other)).status == 0
    keys = identifier(
        QueryRetrieveLevel="STUDY", AccessionNumber="A9", StudyDescription="", SpecificCharacterSet=asked
    )
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        context_id = requestor.context_of(STUDY_FIND)
        assert context_id is not None
        request = FindRequest(requestor.new_message_id(), STUDY_FIND)
        [match, _] = [bytes(each.data or b"") async for each in requestor.ask(context_id, request, keys)]
    assert decode(match, EXPLICIT)[0x00080005] == ("CS", (answered,))
    assert told in match


async def test_an_answer_holds_what_was_asked_for_and_where_to_get_it(stage: Stage) -> None:
    keys = identifier(
        QueryRetrieveLevel="STUDY", AccessionNumber="A1", StudyDescription="", StudyInstanceUID="", StudyID=""
    )
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        (match,), _ = await ask(requestor, FindRequest, STUDY_FIND, keys)
    assert match[0x00080005] == ("CS", ("ISO_IR 192",))
    assert match[0x00080052][1] == ("STUDY",)
    assert match[0x00080054][1] == ("SAMSYN",)
    assert match[0x00081030][1] == ("DT hjärna",)
    assert match[0x0020000D][1] == ("2.25.101",)
    assert match[0x00200010][1] == ()
    assert 0x00100010 not in match


async def test_a_text_too_long_for_its_representation_ends_no_search_early(stage: Stage) -> None:
    """As it may come in implicit VR. What the others are called is found all the same (PS3.5 6.2.2)."""
    text = "DT hjärna " * 7_000
    long = image(
        SOPInstanceUID="2.25.9", StudyInstanceUID="2.25.8", SeriesInstanceUID="2.25.7", StudyDescription=text.strip(),
        AccessionNumber="A9", StudyDate="20240304",
    )  # fmt: skip
    async with await stage.connect(contexts=[(CT, (IMPLICIT,))]) as sender:
        answer = await sender.store(IMPLICIT, CT, "2.25.9", encoded(long, implicit=True))
    assert answer.status == 0
    keys = identifier(QueryRetrieveLevel="STUDY", AccessionNumber="", StudyDescription="")
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        found, final = await ask(requestor, FindRequest, STUDY_FIND, keys)
    assert final.command.status == 0
    assert [match[0x00080050][1] for match in found] == [("A9",), ("A2",), ("A1",), ("A0",)]
    assert found[0][0x00081030][1] == (text.strip(),)


@pytest.mark.parametrize(
    ("level", "keys", "count"),
    [
        ("STUDY", {"StudyDate": "20240302-"}, 2),
        ("STUDY", {"StudyDate": "20240302"}, 1),
        ("STUDY", {"ModalitiesInStudy": "CT"}, 3),
        ("STUDY", {"ModalitiesInStudy": "MR"}, 0),
        ("STUDY", {"PatientName": "tolvansson*"}, 3),
        ("STUDY", {"StudyInstanceUID": "2.25.100\\2.25.102"}, 2),
        ("SERIES", {"StudyInstanceUID": "2.25.101", "SeriesInstanceUID": ""}, 1),
        ("IMAGE", {"StudyInstanceUID": "2.25.101", "SOPInstanceUID": ""}, 1),
        ("STUDY", {"PatientID": "199001012385"}, 0),
    ],
)
async def test_matching_is_the_standards(stage: Stage, level: str, keys: dict[str, str], count: int) -> None:
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        found, final = await ask(
            requestor, FindRequest, STUDY_FIND, identifier(QueryRetrieveLevel=level, **keys)
        )
    assert (len(found), final.command.status) == (count, 0)


async def test_the_patient_root_has_a_patient_level(stage: Stage) -> None:
    keys = identifier(QueryRetrieveLevel="PATIENT", PatientID="191212121212", PatientName="")
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        (match,), _ = await ask(requestor, FindRequest, PATIENT_FIND, keys)
        assert match[0x00100010][1] == ("Tolvansson^Tolvan",)
        _, final = await ask(requestor, FindRequest, STUDY_FIND, keys)
        assert final.command.status == 0xA900


async def test_an_optional_key_that_is_not_matched_is_told_with_ff01(stage: Stage) -> None:
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="", PatientComments="x")
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        context_id = requestor.context_of(STUDY_FIND)
        assert context_id is not None
        request = FindRequest(1, STUDY_FIND)
        statuses = [message.command.status async for message in requestor.ask(context_id, request, keys)]
    assert statuses == [0xFF01] * 3 + [0]


@pytest.mark.parametrize(
    "keys",
    [
        {"PatientID": "191212121212"},
        {"QueryRetrieveLevel": "GALAXY"},
        {"QueryRetrieveLevel": "STUDY", "StudyDate": "20240231x"},
    ],
)
async def test_an_identifier_that_is_none_is_refused(stage: Stage, keys: dict[str, str]) -> None:
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        found, final = await ask(requestor, FindRequest, STUDY_FIND, identifier(**keys))
        assert found == []
        assert final.command.status == 0xA900
        found, _ = await ask(
            requestor, FindRequest, STUDY_FIND, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
        )
        assert len(found) == 3


async def test_garbage_as_identifier_is_refused(stage: Stage) -> None:
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        _, final = await ask(requestor, FindRequest, STUDY_FIND, b"\xff" * 50)
    assert final.command.status == 0xA900


async def test_another_provider_finds_nothing_of_it(stage: Stage) -> None:
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    async with await stage.connect("KLARAPACS", contexts=QUERY_CONTEXTS) as requestor:
        found, final = await ask(requestor, FindRequest, STUDY_FIND, keys)
    assert (found, final.command.status) == ([], 0)


async def test_answers_come_in_implicit_vr_when_that_was_agreed(stage: Stage) -> None:
    async with await stage.connect(contexts=[(STUDY_FIND, (IMPLICIT, EXPLICIT))]) as requestor:
        context_id = requestor.context_of(STUDY_FIND)
        assert context_id is not None
        keys = b"\x08\x00\x52\x00\x06\x00\x00\x00STUDY \x20\x00\x0d\x00\x00\x00\x00\x00"
        messages = [m async for m in requestor.ask(context_id, FindRequest(1, STUDY_FIND), keys)]
    assert len(messages) == 4
    assert messages[0].data is not None
    assert b"\x20\x00\x0d\x00\x08\x00\x00\x002.25.10" in messages[0].data


async def test_studies_that_arrive_between_pages_move_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newest first: what comes in stands before what was answered already."""
    monkeypatch.setattr(query, "_PAGE_ROWS", 1)
    asks, asked = Finder.page, 0

    async def storing(finder: Finder, *question: Any) -> Page:
        nonlocal asked
        asked += 1
        if asked in (2, 3):
            made = image(
                SOPInstanceUID=f"2.25.7{asked}",
                StudyInstanceUID=f"2.25.8{asked}",
                SeriesInstanceUID=f"2.25.9{asked}",
                StudyDate="20260101",
            )
            async with await stage.connect() as sender:
                assert (await store(sender, made)).status == 0
        return await asks(finder, *question)

    monkeypatch.setattr(Finder, "page", storing)
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        found, final = await ask(requestor, FindRequest, STUDY_FIND, keys)
    assert [each[0x0020000D][1][0] for each in found] == ["2.25.102", "2.25.101", "2.25.100"]
    assert final.command.status == 0


async def test_persons_who_became_one_end_no_search_early(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page with two of one person has one match less than rows."""
    numbers = ("198001012381", "198001022380", "198001032389")
    async with await stage.connect() as sender:
        for place, number in enumerate(numbers):
            made = image(
                SOPInstanceUID=f"2.25.7{place}",
                StudyInstanceUID=f"2.25.8{place}",
                SeriesInstanceUID=f"2.25.9{place}",
                PatientID=number,
                PatientName=f"Aaa{place}^Namn",
            )
            assert (await store(sender, made)).status == 0

    def merge(transaction: Transaction) -> None:
        rows = transaction.all(
            "SELECT patient_key FROM patient_identifier WHERE value IN (?, ?)", *numbers[:2]
        )
        (one,), (other,) = rows
        transaction.update("patient", {"patient_key": one}, merged_into=other)

    await stage.store.commit(merge)
    monkeypatch.setattr(query, "_PAGE_ROWS", 2)
    keys = identifier(QueryRetrieveLevel="PATIENT", PatientID="", PatientName="")
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        found, final = await ask(requestor, FindRequest, PATIENT_FIND, keys)
    assert final.command.status == 0
    assert {"191212121212", numbers[2]} <= {each[0x00100020][1][0] for each in found}


async def test_a_cancelled_search_ends_with_fe00(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "_TOGETHER_BYTES", 1)
    async with await stage.connect() as sender:
        for number in range(200):
            made = image(
                SOPInstanceUID=f"2.25.7{number}",
                StudyInstanceUID=f"2.25.8{number}",
                SeriesInstanceUID=f"2.25.9{number}",
            )
            await store(sender, made)
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="", PatientName="", StudyDescription="")
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        context_id = requestor.context_of(STUDY_FIND)
        assert context_id is not None
        request = FindRequest(7, STUDY_FIND)
        requestor.association.send(context_id, request, keys)
        requestor.association.send(context_id, CancelRequest(7))
        requestor.flush()
        messages: list[Message] = []
        while not messages or messages[-1].command.status in (0xFF00, 0xFF01):
            messages.append(await requestor._answer())
        final = messages[-1].command
        assert isinstance(final, FindResponse)
        assert final.status == 0xFE00
        assert len(messages) < 200
        requestor.association.send(context_id, CancelRequest(99))
        found, _ = await ask(requestor, FindRequest, STUDY_FIND, keys)
        assert len(found) == 203


async def test_a_cancel_in_the_middle_of_the_answers_is_seen(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "_TOGETHER_BYTES", 1)
    monkeypatch.setattr(query, "_PAGE_ROWS", 1)
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        context_id = requestor.context_of(STUDY_FIND)
        assert context_id is not None
        answers = requestor.ask(context_id, FindRequest(3, STUDY_FIND), keys)
        first = await anext(answers)
        assert first.command.status == 0xFF00
        await answers.aclose()
        last = first
        while last.command.status == 0xFF00:
            last = await requestor._answer()
        assert last.command.status in (0xFE00, 0)


async def test_too_many_matches_end_with_out_of_resources(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "_PAGE_ROWS", 1)
    monkeypatch.setattr(limits, "MAX_FIND_ROWS", 2)
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        found, final = await ask(
            requestor, FindRequest, STUDY_FIND, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
        )
    assert (len(found), final.command.status) == (2, 0xA700)


async def test_a_search_is_in_the_audit_journal(stage: Stage) -> None:
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        await ask(
            requestor, FindRequest, STUDY_FIND, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
        )
    assert ("SEARCH", "BENCH") in stage.rows("SELECT event, actor FROM audit")


async def test_a_search_that_lasts_shows_nothing_more_once_the_ground_has_ended(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "_PAGE_ROWS", 1)
    monkeypatch.setattr(view, "_SURELY_TRUE_S", 0.0)
    now = datetime.now(UTC)

    def consent(transaction: Transaction) -> None:
        lasts = {
            "patient_key": 1,
            "provider": "SE9990000002-0001",
            "unit": "SE9990000002-1001",
            "employee": "",
            "starts": (now - timedelta(hours=1)).isoformat(),
            "ends": (now + timedelta(days=1)).isoformat(),
        }
        transaction.insert("care_relation", relation_id="r", source="booking", **lasts)
        transaction.insert("consent", consent_id="c", ground="consent", channel="unit", ended=None, **lasts)

    def end(transaction: Transaction) -> None:
        transaction.update("consent", {"consent_id": "c"}, ended=now.isoformat())

    await stage.store.commit(consent)
    finder = stage.door._search._finder
    find, pages = finder.page, 0

    async def ending(*asked: Any) -> Any:
        nonlocal pages
        found = await find(*asked)
        pages += 1
        if pages == 1:
            await stage.store.commit(end)
        return found

    monkeypatch.setattr(finder, "page", ending)
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    async with await stage.connect("KLARAPACS", contexts=QUERY_CONTEXTS) as requestor:
        found, final = await ask(requestor, FindRequest, STUDY_FIND, keys)
        assert (len(found), final.command.status) == (1, 0)
        assert (await ask(requestor, FindRequest, STUDY_FIND, keys))[0] == []
