"""Telling a provider's own HL7 systems of what its stewards have corrected: durable, each system by itself.

A report that was given to the right patient is taken back under the wrong one and told under the right one, in this
order, over one connection. Which numbers are one person is told as link or unlink. What is told is how things stand
when it is told, so that the order of the deliveries is of no account. Another provider's systems are never told.
"""

import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import orjson

from samsyn.access.view import Gatekeeper
from samsyn.errors import NotFound
from samsyn.exchange.mllp import Place, send
from samsyn.hl7v2.corrections import Answer, Person, linked, right_patient, wrong_patient
from samsyn.jobs import queue
from samsyn.jobs.queue import Job, Later
from samsyn.model.texts import ReportStatus
from samsyn.patients.corrections import ANNOUNCE_LINK, ANNOUNCE_TEXTS
from samsyn.providers.connections import Connections, Hl7Receiver
from samsyn.reports.examination import History
from samsyn.reports.order import Arrangement, Role, by_report
from samsyn.store.index import correction_rows, identity_rows, patient_rows
from samsyn.store.index.port import IndexConnection
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

TEXT_JOB: Final = "hl7-correction"
LINK_JOB: Final = "hl7-link"


@dataclass(frozen=True, slots=True)
class _Report:
    """One report that was moved, as it stands with its owner."""

    answer: Answer
    result_time: datetime
    is_annulled: bool


class TextNotices:
    """Work of the kinds ANNOUNCE_TEXTS, ANNOUNCE_LINK, TEXT_JOB and LINK_JOB."""

    def __init__(
        self,
        store: Store,
        connections: Connections,
        gatekeeper: Gatekeeper,
        history: History,
        context: ssl.SSLContext | None,
    ) -> None:
        """`context`: how receivers by TLS are called, None = none is."""
        self._store = store
        self._connections = connections
        self._gatekeeper = gatekeeper
        self._history = history
        self._context = context
        self.told = 0
        """Messages that were accepted since start, for metrics."""

    def work_by_kind(self) -> dict[str, Callable[[Job], Awaitable[Later | None]]]:
        """The kinds of work by their names."""
        return {
            ANNOUNCE_TEXTS: partial(self._announce, TEXT_JOB),
            ANNOUNCE_LINK: partial(self._announce, LINK_JOB),
            TEXT_JOB: self.send_texts,
            LINK_JOB: self.send_link,
        }

    async def _announce(self, kind: str, job: Job) -> Later | None:
        """One durable notice for each receiver of the provider; twice is once."""
        said = orjson.loads(job.payload)
        receivers = self._connections.hl7_receivers(said["provider"])

        def decide(transaction: Transaction) -> None:
            for receiver in receivers:
                payload = orjson.dumps({**said, "receiver": receiver.name}).decode()
                queue.enqueue(transaction, kind, f"{receiver.name} {job.name}", payload)

        if receivers:
            await self._store.commit(decide)
        return None

    async def send_texts(self, job: Job) -> Later | None:
        """One attempt to tell a receiver of a report that was moved. Raises while it does not accept."""
        said = orjson.loads(job.payload)
        receiver = self._receiver(said)
        moved = await self._store.read(
            partial(correction_rows.moved_texts, correction_key=said["correction"])
        )
        if moved is None or not moved.others:
            return None  # no reports were moved, or the two are one person by now
        again = said["back"] or await self._store.read(
            partial(
                correction_rows.was_moved_before,
                correction_key=said["correction"],
                accession=moved.accession,
            )
        )
        when = datetime.fromisoformat(said["made"])
        right, wrong = await self._person(moved.owner), [await self._person(key) for key in moved.others]
        messages: list[bytes] = []
        for report in await self._reports(receiver, moved.owner, moved.accession):
            messages += [wrong_patient(receiver.addressee, each, report.answer, when) for each in wrong]
            if not report.is_annulled:
                # What was taken back under this person before is only overtaken by something later.
                since = when if again else report.result_time
                messages.append(right_patient(receiver.addressee, right, report.answer, since, when))
        await self._send(receiver, messages)
        return None

    async def send_link(self, job: Job) -> Later | None:
        """One attempt to tell a receiver that two numbers are one person, or are not."""
        said = orjson.loads(job.payload)
        receiver = self._receiver(said)
        one, other = int(said["one"]), int(said["other"])
        are_one = other in await self._store.read(partial(patient_rows.closure_of, key=one))
        first, second = await self._person(one), await self._person(other)
        when = datetime.fromisoformat(said["made"])
        await self._send(receiver, [linked(receiver.addressee, first, second, are_one, when)])
        return None

    async def _reports(self, receiver: Hl7Receiver, owner: int, accession: str) -> list[_Report]:
        """Reports of the receiver's provider, by its own View, written down as sent before they leave."""
        keys = await self._store.read(partial(patient_rows.closure_of, key=owner))
        view = await self._gatekeeper.open_view(receiver.subject, keys)
        found: list[_Report] = []
        for examination in await self._history.examinations(view):
            for arrangement in by_report(examination.reports):
                current = arrangement.current
                if current is None or (current.provider, current.accession) != (receiver.provider, accession):
                    continue
                if examination.report_item is None:
                    continue
                await self._gatekeeper.record_opening(
                    view, examination.reference, "send", examination.report_item, receiver.name
                )
                answer = Answer(
                    current.accession,
                    current.filler_id,
                    examination.title,
                    examination.date,
                    _status(arrangement),
                    _text(arrangement),
                    current.signer,
                )
                found.append(
                    _Report(
                        answer,
                        max(each.version.result_time or each.version.received for each in arrangement.shown),
                        arrangement.standing is ReportStatus.ANNULLED,
                    )
                )
        return found

    async def _person(self, key: int) -> Person:
        """By the numbers that were sent for him, without those of linked ones."""

        def question(connection: IndexConnection) -> Person:
            numbers = identity_rows.numbers_of(connection, [key])[key]
            known = patient_rows.patient(connection, patient_rows.root(connection, key)).demographics
            return Person(numbers, known)

        return await self._store.read(question)

    def _receiver(self, said: dict[str, str]) -> Hl7Receiver:
        for receiver in self._connections.hl7_receivers(said["provider"]):
            if receiver.name == said["receiver"]:
                return receiver
        raise NotFound("the receiver is not connected any more")

    async def _send(self, receiver: Hl7Receiver, messages: Sequence[bytes]) -> None:
        await send(Place(receiver.host, receiver.port, receiver.tls), messages, self._context)
        self.told += len(messages)


def _status(arrangement: Arrangement) -> str:
    """Of HL7 table 0123. The whole text is told, so what was added or corrected is a correction of it."""
    if arrangement.standing is ReportStatus.PRELIMINARY:
        return "P"
    return "F" if arrangement.standing is ReportStatus.FINAL else "C"


def _text(arrangement: Arrangement) -> str:
    """The whole answer, additions above what they add to."""
    parts = []
    for each in arrangement.shown:
        heading = "Tilläggssvar:\n" if each.role is Role.ADDENDUM else ""
        parts.append(heading + each.version.text)
    return "\n\n".join(parts)
