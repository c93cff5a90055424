"""Requests to lift: a reader in an emergency asks the provider that blocked, whose administrator answers (SVOD 3:5).

The only way on from another provider's block. The asker never lifts; a request opens nothing by itself.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from samsyn import limits
from samsyn.access import duties
from samsyn.access.events import Event, entry
from samsyn.access.facts import Facts
from samsyn.access.registers import Registers, about_block, end_of_day, insert_row, new_id, utc_text
from samsyn.access.view import View
from samsyn.audit import journal as audit
from samsyn.clock import Clock
from samsyn.errors import BadInput, Conflict, LimitExceeded, NotFound
from samsyn.model.registers import Block, BlockKind, Lift, LiftAnswer, LiftRequest
from samsyn.model.subject import Purpose, Subject, SubjectKind
from samsyn.store.index import patient_rows, register_rows
from samsyn.store.index.register_rows import Ask
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

_WAIT = timedelta(hours=limits.LIFT_REQUEST_HOURS)
_KEPT = timedelta(days=limits.LIFT_DAYS)


class LiftRequests:
    """Asks and answers; both are in the audit journal in the same record as the change."""

    def __init__(self, store: Store, clock: Clock, registers: Registers) -> None:
        self._store = store
        self._clock = clock
        self._registers = registers

    async def ask(
        self, view: View, owner: str, *, for_unit: bool, phone: str, need: str, wording: str = ""
    ) -> LiftRequest:
        """Asks the provider `owner` to lift for the asker, or for his whole unit; asking again answers the same.

        NotFound: this View does not name `owner` as one that has blocked, which only an emergency ground lets
        it do (SVOD 3:5). BadInput: no telephone number or no need. LimitExceeded: too many unanswered requests.
        """
        subject, own = view.subject, view.subject.assignment
        if owner not in view.names.blocked_providers or own is None or subject.kind is not SubjectKind.STAFF:
            raise NotFound
        phone, need = _bounded(phone), _bounded(need)
        if not phone or not need:
            raise BadInput("a request to lift names a telephone number and the need")
        patient_key = min(view.standings[0].facts.patient_keys)

        def decide(transaction: Transaction) -> LiftRequest:
            now = datetime.fromisoformat(transaction.time)
            since = (now - _WAIT).isoformat()
            facts = self._registers.facts_in(transaction, subject, patient_key)
            duties.caring_staff(facts)
            mine = [
                each
                for each in register_rows.lift_requests_by(transaction.all, subject.hsa_id, since)
                if each.answer is LiftAnswer.WAITING
            ]
            for each in mine:
                if (each.owner, each.unit) == (
                    owner,
                    own.unit_hsa_id,
                ) and each.patient_key in facts.patient_keys:
                    return each
            if len(mine) >= limits.MAX_LIFT_REQUESTS:
                raise LimitExceeded("MAX_LIFT_REQUESTS")
            request = LiftRequest(
                new_id(),
                patient_key,
                owner,
                own.provider_hsa_id,
                own.unit_hsa_id,
                subject.hsa_id,
                subject.told_name,
                for_unit,
                phone,
                need,
                now,
            )
            insert_row(transaction, "lift_request", request)
            details = {
                "request": request.request_id,
                "for": "unit" if for_unit else "person",
                "wording": wording,
            }
            audit.append(
                transaction,
                entry(subject, Event.REQUEST_LIFT, patient_key, owner_provider=owner, details=details),
            )
            return request

        return await self._registers.change(decide)

    async def answer(
        self,
        subject: Subject,
        request_id: str,
        answer: LiftAnswer,
        *,
        for_unit: bool = False,
        ends: datetime | None = None,
        reason: str = "emergency",
        told: str = "",
        wording: str = "",
    ) -> LiftRequest:
        """The owner's block administrator grants, for the end of the day unless told otherwise, or refuses.

        A grant lifts every block of the provider that hides something from the asker, at most
        limits.LIFT_DAYS and never for more readers than were asked for. NotFound: no such request to this
        administrator's provider. Conflict: answered already, or too old. BadInput: a refusal without reason, an
        unreasonable end.
        """
        if answer is LiftAnswer.WAITING or reason not in duties.LIFT_REASONS:
            raise BadInput("a request is granted or refused")
        told = _bounded(told)
        if answer is LiftAnswer.REFUSED and not told:
            raise BadInput("a refusal tells why")
        until = ends or end_of_day(self._clock.now())

        def decide(transaction: Transaction) -> LiftRequest:
            request = self._asked_of(transaction, subject, request_id)
            now = datetime.fromisoformat(transaction.time)
            if not is_waiting(request, now):
                raise Conflict("the request has been answered or is too old")
            answered = replace(request, answered=now, answer=answer, told=told)
            details = {"request": request_id, "answer": answer.value, "told": told, "wording": wording}
            if answer is LiftAnswer.GRANTED:
                duties.check_lift_time(now, until)
                lifted = self._lift(transaction, subject, request, for_unit, until, reason)
                answered = replace(answered, until=until, for_unit=for_unit and request.for_unit)
                details |= {"until": utc_text(until), "lifted": str(lifted)}
            transaction.update(
                "lift_request",
                {"request_id": request_id},
                answered=transaction.time,
                answer=answer.value,
                told=told,
                until=utc_text(until) if answered.until else None,
            )
            audit.append(
                transaction,
                entry(
                    subject,
                    Event.ANSWER_LIFT,
                    request.patient_key,
                    owner_provider=request.owner,
                    details=details,
                ),
            )
            return answered

        return await self._registers.change(decide)

    async def to_answer(self, subject: Subject) -> tuple[LiftRequest, ...]:
        """The requests to the administrator's provider of the last limits.LIFT_DAYS, the oldest first."""
        now = self._clock.now()
        owner = duties.administered_provider(Facts(subject, Purpose.CARE, frozenset(), now))
        since = (now - _KEPT).isoformat()
        return await self._store.read(
            lambda connection: register_rows.lift_requests_at(register_rows.asking(connection), owner, since)
        )

    async def asked(self, view: View) -> tuple[LiftRequest, ...]:
        """What the reader has asked for this patient in this assignment in the last limits.LIFT_DAYS."""
        own, keys = view.subject.assignment, view.patient_keys
        if own is None or not keys:
            return ()
        since = (self._clock.now() - _KEPT).isoformat()

        def question(ask: Ask) -> tuple[LiftRequest, ...]:
            return tuple(
                each
                for each in register_rows.lift_requests_of(ask, keys, since)
                if (each.employee, each.unit) == (view.subject.hsa_id, own.unit_hsa_id)
            )

        return await self._store.read(lambda connection: question(register_rows.asking(connection)))

    def _asked_of(self, transaction: Transaction, subject: Subject, request_id: str) -> LiftRequest:
        request = register_rows.lift_request(transaction.all, request_id)
        if request is None:
            raise NotFound
        facts = self._registers.facts_in(transaction, subject, request.patient_key)
        if not duties.is_administrator_of(facts, request.owner):
            raise NotFound
        return request

    def _lift(
        self,
        transaction: Transaction,
        subject: Subject,
        request: LiftRequest,
        for_unit: bool,
        until: datetime,
        reason: str,
    ) -> int:
        keys = patient_rows.closure(transaction.all, request.patient_key)
        now = datetime.fromisoformat(transaction.time)
        employee = "" if for_unit and request.for_unit else request.employee
        blocks = [
            block
            for block in register_rows.blocks_of(transaction.all, keys, transaction.time)
            if block.provider == request.owner and self._hides_outwards(block)
        ]
        for block in blocks:
            lift = Lift(
                new_id(), block.block_id, block.patient_key, request.unit, employee, now, until, reason
            )
            insert_row(transaction, "lift", lift)
            details = {
                "lift": lift.lift_id,
                "request": request.request_id,
                "unit": request.unit,
                "until": utc_text(until),
            }
            audit.append(transaction, about_block(subject, Event.LIFT_BLOCK, block, details))
        return len(blocks)

    def _hides_outwards(self, block: Block) -> bool:
        return block.kind is BlockKind.OUTER or self._registers.policy.inner_acts_outward


def is_waiting(request: LiftRequest, now: datetime) -> bool:
    """Whether the request can still be answered."""
    return request.answer is LiftAnswer.WAITING and now < request.asked + _WAIT


def _bounded(text: str) -> str:
    text = " ".join(text.split())
    if len(text) > limits.MAX_REQUEST_CHARACTERS:
        raise LimitExceeded("MAX_REQUEST_CHARACTERS")
    return text
