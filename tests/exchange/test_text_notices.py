"""What a steward has corrected is told to the provider's own HL7 systems: here to a second Samsyn, and to a bad one."""

import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from samsyn.hl7v2.corrections import Addressee, Answer, Person, linked, right_patient, wrong_patient
from samsyn.hl7v2.header import peek
from samsyn.model.patient import Demographics, PatientIdentifier
from samsyn.model.predicate import Everything
from samsyn.model.subject import Assignment, Purpose, Subject, SubjectKind
from samsyn.patients import registry
from samsyn.patients.identifiers import identify
from samsyn.reports.examination import versions_of
from samsyn.reports.order import by_report
from samsyn.reports.profiles import load_profile
from samsyn.settings import Settings
from samsyn.store.index import examination_rows, patient_rows
from samsyn.wire.mllp import BlockReader, framed
from tests.contracts.stage import KLARA, NORD, Stage
from tests.doors.instance import Instance, running
from tests.hl7v2.messages import meant, pid
from tests.ports import free_port
from tests.waiting import PATIENCE_S

TOLVAN, AGDA = "191212121212", "199001012385"
WHEN = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
TO = Addressee("NORDRIS", "NORDSJUKHUSET")
PERSON = Person(
    (PatientIdentifier("1.2.752.129.2.1.3.1", TOLVAN),), Demographics("Prov^Person", "19121212", "M")
)
ANSWER = Answer("ACC300", "RIS200", "DT | thorax", "20240315", "F", "Rad 1\nRad | 2 & å", "Öhrn^Mårten")


def receiver(port: int, name: str = "RIS") -> dict[str, Any]:
    return {"name": name, "host": "127.0.0.1", "port": port, "application": "NORDRIS"}


def steward() -> Subject:
    own = Assignment("A", "Förvaltning", Purpose.ADMINISTRATION, NORD, "N", "SE9990000001-1001", "U")
    return Subject(SubjectKind.STAFF, "SE9990000001-9104", "Birger", own, "s", frozenset({"steward"}))


class Sender(Stage):
    """The Samsyn whose steward corrects."""

    def key(self, number: str) -> int:
        def ask(transaction: Any) -> int:
            found = registry.find(transaction, identify(number, "", "", datetime.now(UTC).date()))
            assert found is not None
            return found

        return int(self.made.commit(ask))

    def give(self, from_number: str, to_number: str) -> int:
        mover, number = self.made.server._mover, ("2.25.9990000001.2", "ACC300")
        identifier = identify(to_number, "", "", datetime.now(UTC).date())
        moving = mover.move_texts(steward(), self.key(from_number), number, identifier, "Fel patient")
        return int(self.do(moving))

    def take_back(self, act: int) -> None:
        decisions = self.made.server._viewer().decisions
        self.do(decisions.undo(steward(), act))


@dataclass
class Stranger:
    """A receiver that answers as it is told, and keeps what came. `plan`: MSA-1, or "hang up", "nonsense"."""

    plan: list[str] = field(default_factory=list)
    got: list[bytes] = field(default_factory=list)

    def start(self, port: int = 0) -> int:
        stranger = self

        class Door(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                blocks = BlockReader()
                while data := self.request.recv(65_536):
                    blocks.feed(data)
                    while (block := blocks.next_block()) is not None:
                        word = stranger.plan.pop(0) if stranger.plan else "AA"
                        if word == "hang up":
                            return
                        stranger.got.append(block)
                        if word == "nonsense":
                            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                            return
                        control = peek(block).control_id
                        answer = (
                            f"MSH|^~\\&|R||SAMSYN||2026||ACK|1|P|2.5\rMSA|{word}|{control}|191212121212\r"
                        )
                        self.request.sendall(framed(answer.encode()))

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self.server = Server(("127.0.0.1", port), Door)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return int(self.server.server_address[1])

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def kinds(self) -> list[str]:
        return [f"{peek(each).code} {peek(each).trigger}" for each in self.got]


def until(condition: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Instance]:
    """A second Samsyn, which knows the first one as a source of Nordsjukhuset's."""
    known = {"hl7_source": [{"application": "SAMSYN"}]}
    with running(tmp_path / "other", changes={"providers": {NORD: known}}) as made:
        yield made


def texts(made: Instance, number: str) -> list[tuple[str, str]]:
    """(status, text) of the report that holds, at the receiving Samsyn."""

    def ask(connection: Any) -> list[tuple[str, str]]:
        keys = patient_rows.keys_of(connection, "", number)
        if not keys:
            return []
        rows = examination_rows.reports(connection, Everything(), frozenset(keys))
        shown = by_report(versions_of(rows))
        return [(str(each.standing), each.current.text if each.current else "") for each in shown]

    return made.server._store.peek(ask)


def test_a_report_that_was_given_to_the_right_patient_is_so_at_the_receiver_and_back_when_it_is_taken_back(
    tmp_path: Path, other: Instance
) -> None:
    changes = {"providers": {NORD: {"hl7_receiver": [receiver(other.server.mllp_port)]}}}
    with running(tmp_path / "data", changes=changes) as made:
        stage = Sender(made)
        stage.report("F", "Åsas svar: fraktur.")
        stage.report(person=pid(f"{AGDA}^^^PNR", "Testperson^Agda", "19900101", "F"), f18="ACC9", f3="R9")
        act = stage.give(TOLVAN, AGDA)
        until(lambda: texts(other, AGDA) == [("final", "Åsas svar: fraktur.")])
        assert [status for status, _ in texts(other, TOLVAN)] == ["annulled"]
        stage.take_back(act)
        until(lambda: texts(other, TOLVAN) == [("final", "Åsas svar: fraktur.")])
        assert [status for status, _ in texts(other, AGDA)] == ["annulled"]
        stage.give(TOLVAN, AGDA)
        until(lambda: texts(other, AGDA) == [("final", "Åsas svar: fraktur.")])
        assert [status for status, _ in texts(other, TOLVAN)] == ["annulled"]
        sent = made.server._store.peek(
            lambda connection: connection.execute(
                "SELECT COUNT(*) FROM audit WHERE event = 'SEND'"
            ).fetchone()
        )
        assert sent[0] >= 1


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    made = Stranger()
    yield made
    made.close()


@pytest.mark.parametrize("word", ["AE", "AR", "hang up", "nonsense"])
def test_what_is_not_accepted_is_told_again_whole_and_with_the_same_control_ids(
    tmp_path: Path, stranger: Stranger, word: str
) -> None:
    stranger.plan = ["AA", word]
    with _told(tmp_path, stranger) as stage:
        stage.give(TOLVAN, AGDA)
        until(lambda: len(stranger.got) >= 3 and not stranger.plan)
        until(lambda: stage.made.server._exchange.texts.told == 2)
    told = [peek(each).control_id for each in stranger.got]
    assert told[-2:] == [told[0], told[-1]]
    assert len(set(told)) == 2


def test_who_is_not_there_is_told_later(tmp_path: Path) -> None:
    port = free_port()
    stranger = Stranger()
    changes = {"providers": {NORD: {"hl7_receiver": [receiver(port)]}}}
    with running(tmp_path / "data", changes=changes) as made:
        stage = _with_two_people(made)
        stage.give(TOLVAN, AGDA)
        until(lambda: made.server._store.peek(_attempts) >= 1)
        stranger.start(port)
        until(lambda: len(stranger.got) == 2)
        stranger.close()


def test_the_wrong_patients_message_holds_nothing_of_the_report_and_comes_first(
    tmp_path: Path, stranger: Stranger
) -> None:
    with _told(tmp_path, stranger) as stage:
        stage.give(TOLVAN, AGDA)
        until(lambda: len(stranger.got) == 2)
    first, second = (each.decode() for each in stranger.got)
    assert TOLVAN in first and "fraktur" not in first and "|W\r" in first
    assert AGDA in second and "fraktur" in second and TOLVAN not in second


def test_another_providers_systems_are_told_nothing(tmp_path: Path, stranger: Stranger) -> None:
    port = stranger.start()
    changes = {"providers": {KLARA: {"hl7_receiver": [receiver(port)]}}}
    with running(tmp_path / "data", changes=changes) as made:
        stage = _with_two_people(made)
        stage.give(TOLVAN, AGDA)
        until(lambda: made.server._store.peek(_announcements) == 0)
        time.sleep(1.5)
    assert stranger.got == []


def test_links_and_partings_are_told_as_they_stand(tmp_path: Path, stranger: Stranger) -> None:
    with _told(tmp_path, stranger) as stage:
        decisions = stage.made.server._viewer().decisions
        act = stage.do(decisions.link(steward(), stage.key(TOLVAN), stage.key(AGDA), "Samma"))
        until(lambda: stranger.kinds == ["ADT A24"])
        stage.do(decisions.undo(steward(), act))
        until(lambda: stranger.kinds == ["ADT A24", "ADT A37"])


# -- the messages


def test_what_we_write_we_read_as_we_meant_it() -> None:
    profile = load_profile("standard")
    (event,) = meant(right_patient(TO, PERSON, ANSWER, WHEN, WHEN), profile).events
    assert (event.status.value, event.text) == ("final", ANSWER.text)
    assert (event.accession, event.filler_id, event.examined) == ("ACC300", "RIS200", "20240315")
    (event,) = meant(wrong_patient(TO, PERSON, ANSWER, WHEN), profile).events
    assert (event.status.value, event.text) == ("annulled", "")
    other_person = Person((PatientIdentifier("1.2.752.129.2.1.3.1", AGDA),), Demographics())
    for are_one in (True, False):
        (event,) = meant(linked(TO, PERSON, other_person, are_one, WHEN), profile).events
        assert event.linked is are_one


def test_the_same_content_is_the_same_bytes_and_another_is_another_control_id() -> None:
    first = right_patient(TO, PERSON, ANSWER, WHEN, WHEN)
    assert first == right_patient(TO, PERSON, ANSWER, WHEN, WHEN)
    assert peek(first).control_id != peek(wrong_patient(TO, PERSON, ANSWER, WHEN)).control_id


def test_a_protected_name_is_not_told() -> None:
    hidden = Person(PERSON.identifiers, Demographics("Hemlig^Person", "19121212", "M", protected=True))
    message = right_patient(TO, hidden, ANSWER, WHEN, WHEN).decode()
    assert "Hemlig" not in message
    assert TOLVAN in message


def test_a_receiver_beyond_loopback_is_called_by_tls_only() -> None:
    def provider(**more: Any) -> dict[str, Any]:
        unit = {"hsa_id": "SE-U", "name": "U"}
        return {"provider": [{"hsa_id": "SE-P", "name": "P", "unit": [unit], "hl7_receiver": [more]}]}

    with pytest.raises(ValueError, match="over TLS only"):
        Settings.model_validate(provider(name="RIS", host="ris.example", port=2575))
    with pytest.raises(ValueError, match="mllp_tls"):
        Settings.model_validate(provider(name="RIS", host="ris.example", port=2575, tls=True))


def _attempts(connection: Any) -> int:
    row = connection.execute(
        "SELECT COALESCE(MAX(attempt), 0) FROM job WHERE kind = 'hl7-correction'"
    ).fetchone()
    return int(row[0])


def _announcements(connection: Any) -> int:
    return int(connection.execute("SELECT COUNT(*) FROM job WHERE kind = 'announce-texts'").fetchone()[0])


def _with_two_people(made: Instance) -> Sender:
    stage = Sender(made)
    stage.report("F", "Åsas svar: fraktur.")
    stage.report(person=pid(f"{AGDA}^^^PNR", "Testperson^Agda", "19900101", "F"), f18="ACC9", f3="R9")
    return stage


class _told:
    """A Samsyn with the stranger as its receiver."""

    def __init__(self, folder: Path, stranger: Stranger) -> None:
        changes = {"providers": {NORD: {"hl7_receiver": [receiver(stranger.start())]}}}
        self._running = running(folder / "data", changes=changes)

    def __enter__(self) -> Sender:
        return _with_two_people(self._running.__enter__())

    def __exit__(self, *problem: Any) -> None:
        self._running.__exit__(*problem)
