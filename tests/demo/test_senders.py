"""What the region's systems say is understood by the server, and what they are answered is believed only when good."""

import io
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path

import httpx
import pydicom
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from samsyn.hl7v2.interpret import read_message
from samsyn.hl7v2.meaning import PatientMerge, PatientUpdate, ReferralEvent, ReportEvent
from samsyn.hl7v2.profile import Profile
from samsyn.model.organisation import Owner
from samsyn.model.sender import Sender
from samsyn.model.texts import ReferralStatus, ReportStatus
from samsyn.reports.profiles import load_profile
from samsyn_demo.history import Examination, Stage, history
from samsyn_demo.instances.objects import Instance, study_uid
from samsyn_demo.instances.studies import study
from samsyn_demo.people import BY_KEY as PEOPLE
from samsyn_demo.people import STORY
from samsyn_demo.region import BY_KEY, LINDEN, NORDSJUKHUSET, REGION, Hl7System, Provider
from samsyn_demo.senders import mllp, outcome, plan
from samsyn_demo.senders.dimse import StoreLine
from samsyn_demo.senders.messages import Message, Writer
from samsyn_demo.senders.mllp import MllpLine
from samsyn_demo.senders.outcome import Refused
from samsyn_demo.senders.stow import StowLine
from tests.ports import free_port
from tests.scratch import Running

ANCHOR = date(2026, 7, 12)
NOW = datetime.combine(ANCHOR, time(0, 59))


@pytest.fixture(scope="module")
def everything() -> tuple[Examination, ...]:
    return history(ANCHOR)


@pytest.fixture(scope="module")
def profile() -> Profile:
    units = {
        unit.hsa_id: Owner(provider.hsa_id, unit.hsa_id) for provider in REGION for unit in provider.units
    }
    return load_profile("standard").knowing_units(units)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Senders give up soon."""
    monkeypatch.setattr(mllp, "attempts", lambda: outcome.attempts(0.4))


def sender(provider: Provider, system: Hl7System) -> Sender:
    unit = provider.unit(system.unit).hsa_id
    return Sender(system.application, provider.hsa_id, unit, provider.local_issuer, provider.accession_issuer)


def told(message: Message, provider: Provider, profile: Profile):  # type: ignore[no-untyped-def]
    """The one event that the server reads from a message, and nothing left over that it does not understand."""
    interpretation = read_message(message.raw, profile, sender(provider, message.system))
    assert interpretation.notes == ()
    (event,) = interpretation.events
    return event


def all_texts(provider: Provider, everything: tuple[Examination, ...]) -> list[Message]:
    story, others = plan.texts(provider, everything, NOW)
    return story + others


def writer(provider: Provider, place: int = 0) -> Writer:
    return Writer(provider, provider.hl7[place])


def find(everything: tuple[Examination, ...], **wanted: object) -> Examination:
    return next(
        each for each in everything if all(getattr(each, name) == value for name, value in wanted.items())
    )


@pytest.mark.parametrize("provider", [p for p in REGION if p.gives_texts], ids=lambda p: p.key)
def test_every_message_of_the_region_is_understood_wholly(
    everything: tuple[Examination, ...], profile: Profile, provider: Provider
) -> None:
    messages = all_texts(provider, everything)
    events = [told(message, provider, profile) for message in messages]
    mine = [each for each in everything if each.provider is provider]
    reports = [event for event in events if isinstance(event, ReportEvent)]
    assert len(reports) == sum(len(each.versions) for each in mine)
    referrals = [event for event in events if isinstance(event, ReferralEvent)]
    sent = {event.referral.placer_id for event in referrals}
    assert {each.placer for each in mine} <= sent
    assert len({message.control_id for message in messages}) == len(messages)


def test_who_gives_no_texts_sends_none(everything: tuple[Examination, ...]) -> None:
    assert all_texts(BY_KEY["solsidan"], everything) == []


def test_nothing_is_told_from_the_future(everything: tuple[Examination, ...], profile: Profile) -> None:
    for provider in REGION:
        for message in all_texts(provider, everything):
            when = told(message, provider, profile).when
            assert when.replace(tzinfo=None) <= NOW


@pytest.mark.parametrize("provider", [p for p in REGION if p.gives_texts], ids=lambda p: p.key)
def test_a_person_is_registered_before_anything_else_is_told_and_the_story_comes_first(
    everything: tuple[Examination, ...], profile: Profile, provider: Provider
) -> None:
    registered: set[str] = set()
    others = False
    for message in all_texts(provider, everything):
        event = told(message, provider, profile)
        if isinstance(event, PatientMerge):
            registered.add(event.survivor.identifiers[0].value)
            continue
        number = event.patient.identifiers[0].value
        if isinstance(event, PatientUpdate):
            registered.add(number)
        assert number in registered
        others = others or number != STORY.number
        assert number != STORY.number or not others


def test_a_referral_to_another_provider_and_its_news_name_the_same_referral(
    everything: tuple[Examination, ...], profile: Profile
) -> None:
    examination = find(everything, person=STORY, provider=NORDSJUKHUSET, referrer_provider=LINDEN)
    asked = told(writer(LINDEN).referral(examination), LINDEN, profile)
    assert asked.referral.accession == ""
    assert asked.referral.placer_id == examination.placer
    assert asked.referral.question == examination.case.question
    assert asked.referral.history == examination.case.history
    assert (asked.referral.provider, asked.referral.unit) == (LINDEN.hsa_id, LINDEN.units[0].hsa_id)
    done = told(writer(NORDSJUKHUSET).news(examination, "SC", "CM", examination.when), NORDSJUKHUSET, profile)
    assert done.referral.placer_id == examination.placer
    assert done.referral.accession == examination.accession
    assert done.referral.unit == LINDEN.units[0].hsa_id
    assert done.performer == Owner(NORDSJUKHUSET.hsa_id, examination.unit.hsa_id)
    assert done.study_uids == (study_uid(examination),)
    assert done.referral.status is ReferralStatus.PERFORMED


def test_a_referral_inside_the_house_belongs_to_the_unit_that_asks(
    everything: tuple[Examination, ...], profile: Profile
) -> None:
    examination = next(
        each for each in everything if each.provider is NORDSJUKHUSET and each.referrer_unit.key == "akuten"
    )
    asked = told(writer(NORDSJUKHUSET).referral(examination), NORDSJUKHUSET, profile)
    assert asked.referral.unit == examination.referrer_unit.hsa_id
    assert asked.referral.accession == examination.accession
    assert asked.performer.unit == examination.unit.hsa_id
    assert asked.referral.priority == {"S": "akut", "A": "förtur", "R": "planerad"}[examination.priority]
    assert asked.referral.referrer == examination.referrer.name


@pytest.mark.parametrize("provider", [p for p in REGION if p.gives_texts], ids=lambda p: p.key)
def test_a_reports_versions_arrive_in_order_with_every_letter(
    everything: tuple[Examination, ...], profile: Profile, provider: Provider
) -> None:
    words = {
        "P": ReportStatus.PRELIMINARY,
        "F": ReportStatus.FINAL,
        "A": ReportStatus.ADDENDUM,
        "C": ReportStatus.CORRECTION,
        "X": ReportStatus.ANNULLED,
    }
    seen: set[str] = set()
    for examination in everything:
        if examination.provider is not provider:
            continue
        for version in examination.versions:
            event = told(writer(provider).report(examination, version), provider, profile)
            assert event.status is words[version.status]
            assert event.text == version.text.strip("\n")
            assert event.accession == examination.accession
            assert event.author == version.author.name
            assert event.signer == (version.signer.name if version.signer else "")
            assert event.reason == version.reason
            seen.add(version.status)
    assert "F" in seen


def test_the_special_cases_of_identity_are_told(
    everything: tuple[Examination, ...], profile: Profile
) -> None:
    when = datetime(2026, 1, 5, 9, 0)
    hospital = writer(NORDSJUKHUSET)
    hidden, dead, changing = PEOPLE["skyddad"], PEOPLE["avliden"], PEOPLE["byter"]
    event = told(
        hospital.register("A28", hidden, when, (hidden.number, hidden.issuer)), NORDSJUKHUSET, profile
    )
    assert event.patient.demographics.protected
    assert event.patient.identifiers[0].issuer == hidden.issuer
    assert b"|Y\r" in hospital.register("A08", dead, when, (dead.number, dead.issuer)).raw
    merge = told(hospital.merge(changing, when), NORDSJUKHUSET, profile)
    assert [each.value for each in merge.subsumed] == [changing.earlier_number]
    assert merge.survivor.identifiers[0].value == changing.number
    merges = [
        message.kind for message in all_texts(NORDSJUKHUSET, everything) if message.kind.startswith("ADT^A40")
    ]
    assert len(merges) == 1


@given(text=st.text(st.characters(codec="iso8859-1", exclude_categories=("Cc",)), min_size=1, max_size=80))
def test_every_sign_of_a_text_comes_through(text: str) -> None:
    assume(
        "Ã" not in text
    )  # with another sign after it, it is a Swedish letter in UTF-8, and refused for that
    profile = load_profile("standard")
    examination = replace(EXAMPLE, case=replace(EXAMPLE.case, question=text))
    event = read_message(
        writer(NORDSJUKHUSET).referral(examination).raw, profile, sender(NORDSJUKHUSET, NORDSJUKHUSET.hl7[0])
    ).events[0]
    assert isinstance(event, ReferralEvent)
    assert event.referral.question == text.strip()


EXAMPLE = next(
    each for each in history(ANCHOR) if each.provider is NORDSJUKHUSET and each.stage is Stage.PERFORMED
)


def test_an_examination_in_the_hour_that_summer_time_skips_is_told(profile: Profile) -> None:
    examination = replace(EXAMPLE, when=datetime(2026, 3, 29, 2, 30), ordered=datetime(2026, 3, 29, 2, 1))
    assert told(writer(NORDSJUKHUSET).referral(examination), NORDSJUKHUSET, profile).referral.ordered


def test_the_same_message_has_the_same_control_id_and_another_has_another() -> None:
    first, again = writer(NORDSJUKHUSET).referral(EXAMPLE), writer(NORDSJUKHUSET).referral(EXAMPLE)
    assert first == again
    assert first.control_id != writer(NORDSJUKHUSET).news(EXAMPLE, "SC", "CM", EXAMPLE.when).control_id
    assert len(first.control_id) == 20


def answering(*answers: Callable[[bytes], bytes]) -> tuple[int, list[bytes]]:
    """A listener that takes one connection for each answer; its port and what it got."""
    listener = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def serve() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                message = bytearray()
                while not message.endswith(b"\x1c\r"):
                    message += connection.recv(8192)
                got.append(bytes(message))
                connection.sendall(answer(bytes(message)))
        listener.close()

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1]), got


def ack(code: str, text: str = "", control_id: str = "") -> Callable[[bytes], bytes]:
    def answer(message: bytes) -> bytes:
        told_id = control_id or message.split(b"\r")[0].split(b"|")[9].decode()
        return f"\x0bMSH|^~\\&|S|||||ACK|1|P|2.4\rMSA|{code}|{told_id}|{text}\r\x1c\r".encode()

    return answer


MESSAGE = writer(NORDSJUKHUSET).referral(EXAMPLE)


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR", "XX", ""])
def test_anything_but_an_acceptance_is_a_refusal_without_patient_data(code: str) -> None:
    port, _ = answering(ack(code, "a reason"))
    with MllpLine("127.0.0.1", port) as line, pytest.raises(Refused) as refusal:
        line.send(MESSAGE)
    assert MESSAGE.control_id in str(refusal.value)
    assert EXAMPLE.person.family not in str(refusal.value)
    assert EXAMPLE.number not in str(refusal.value)


def test_an_acknowledgement_for_another_message_is_a_refusal() -> None:
    port, _ = answering(ack("AA", control_id="OTHER"))
    with MllpLine("127.0.0.1", port) as line, pytest.raises(Refused, match="another message"):
        line.send(MESSAGE)


def test_a_lost_connection_costs_a_repetition_of_the_same_bytes() -> None:
    port, got = answering(lambda _: b"\x0bMSH|", ack("CA", "a remark"))
    with MllpLine("127.0.0.1", port) as line:
        assert line.send(MESSAGE) == "a remark"
    assert got == [b"\x0b" + MESSAGE.raw + b"\x1c\r"] * 2


def test_a_server_that_does_not_come_up_is_told_of(impatient: None) -> None:
    with MllpLine("127.0.0.1", free_port()) as line, pytest.raises(Refused, match="no answer"):
        line.send(MESSAGE)


@pytest.mark.slow
def test_objects_go_out_as_they_are_in_every_transfer_syntax(
    scratch: Running, everything: tuple[Examination, ...], tmp_path: Path
) -> None:
    examinations = [
        find(everything, person=PEOPLE["avliden"], provider=BY_KEY["klara"], images=True),
        next(e for e in everything if e.provider.key == "klara" and e.kind.modality == "US" and e.images),
        next(e for e in everything if e.kind.key == "ecg" and e.images),
    ]
    line = StoreLine("BENCH", "127.0.0.1", scratch.dicom_port)
    sent: list[Instance] = []
    for examination in examinations:
        for instance in study(examination):
            path = tmp_path / f"{len(sent)}.dcm"
            path.write_bytes(instance.file)
            line.store(instance, path)
            sent.append(instance)
    line.close()
    assert len({each.transfer_syntax_uid for each in sent}) >= 3
    headers = {
        "authorization": f"Bearer {scratch.system_token('BENCH')}",
        "accept": 'multipart/related; type="application/dicom"; transfer-syntax=*',
    }
    for examination in examinations:
        address = f"{scratch.http}/dicomweb/studies/{study_uid(examination)}"
        answer = httpx.get(address, headers=headers, trust_env=False)
        assert answer.status_code == 200
        for instance in sent:
            if pydicom.dcmread(io.BytesIO(instance.file)).StudyInstanceUID == study_uid(examination):
                body = instance.file[instance.file.index(b"\x08\x00", 132 + 16) :][-4096:]
                assert body in answer.content


@pytest.mark.slow
def test_the_archives_refusals_are_refusals(
    scratch: Running, everything: tuple[Examination, ...], tmp_path: Path
) -> None:
    instance = next(study(next(e for e in everything if e.kind.key == "ecg" and e.images)))
    path = tmp_path / "a.dcm"
    path.write_bytes(instance.file)
    with pytest.raises(Refused, match="rejects"):
        StoreLine("NOBODY", "127.0.0.1", scratch.dicom_port).store(instance, path)
    with (
        StowLine("solsidan-stow", f"{scratch.http}/dicomweb", "wrong") as line,
        pytest.raises(Refused) as told,
    ):
        line.store([instance])
    assert "HTTP 401" in str(told.value)


@pytest.mark.slow
def test_stow_answers_for_every_object(scratch: Running, everything: tuple[Examination, ...]) -> None:
    instances = list(study(next(e for e in everything if e.kind.key == "us-abdomen" and e.images)))
    with StowLine("BENCH", f"{scratch.http}/dicomweb", scratch.system_token("BENCH")) as line:
        line.store(instances)
        line.store(instances)
        changed = instances[0].file[:-2] + b"\x01\x02"
        with pytest.raises(Refused, match="1 failed, the first with reason"):
            line.store([replace(instances[0], file=changed)])
