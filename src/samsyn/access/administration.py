"""What a provider's block administrator sees and ends of one person's registers: blocks, lifts, grounds, relations.

Only what the own provider has registered, never what others have, and never any information about care.
"""

from dataclasses import dataclass
from datetime import datetime

from samsyn.access import duties
from samsyn.access.events import Event, entry
from samsyn.access.facts import Facts
from samsyn.access.registers import Registers, consents_of, grant_of
from samsyn.audit import journal as audit
from samsyn.clock import Clock
from samsyn.errors import NotFound
from samsyn.model.national import Register
from samsyn.model.registers import Block, CareRelation, Consent, Lift
from samsyn.model.subject import Purpose, Subject
from samsyn.store.index import patient_rows, register_rows
from samsyn.store.index.register_rows import Ask
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything of one provider that is in force or to come for one person."""

    blocks: tuple[Block, ...]
    lifts: tuple[Lift, ...]
    consents: tuple[Consent, ...]
    """Grounds that the provider's units have registered."""
    relations: tuple[CareRelation, ...]


class RegisterAdministration:
    """Reads and ends rows of the registers for the block administrator; NotAllowed for everybody else."""

    def __init__(self, store: Store, clock: Clock, registers: Registers) -> None:
        self._store = store
        self._clock = clock
        self._registers = registers

    def check(self, subject: Subject) -> str:
        """HSA-id of the provider whose blocks the subject keeps."""
        return duties.administered_provider(Facts(subject, Purpose.CARE, frozenset(), self._clock.now()))

    async def knows(self, subject: Subject, patient_key: int) -> bool:
        """Whether the administrator's provider has anything of the person: information, a block, a ground, a relation.

        Of nobody else may he learn the name from a number.
        """
        provider, now = self.check(subject), self._clock.now().isoformat()

        def question(ask: Ask) -> bool:
            keys = patient_rows.closure(ask, patient_key)
            owners = {each.provider for each in register_rows.owners_of(ask, keys)}
            owners |= {each.provider for each in register_rows.own_blocks_of(ask, keys, now)}
            owners |= {each.provider for each in self._consents(ask, keys, now)}
            owners |= {each.provider for each in register_rows.relations_of(ask, keys, now)}
            return provider in owners

        return await self._store.read(lambda connection: question(register_rows.asking(connection)))

    async def overview(self, subject: Subject, patient_key: int) -> Overview:
        """The person's rows at the administrator's provider; the reading is in the audit journal first."""
        provider, now = self.check(subject), self._clock.now().isoformat()
        await audit.write(
            self._store, entry(subject, Event.READ_REGISTER, patient_key, owner_provider=provider)
        )

        def question(ask: Ask) -> Overview:
            keys = patient_rows.closure(ask, patient_key)
            blocks = tuple(
                each for each in register_rows.own_blocks_of(ask, keys, now) if each.provider == provider
            )
            own = {block.block_id for block in blocks}
            return Overview(
                blocks,
                tuple(each for each in register_rows.lifts_of(ask, keys, now) if each.block_id in own),
                tuple(each for each in self._consents(ask, keys, now) if each.provider == provider),
                tuple(
                    each for each in register_rows.relations_of(ask, keys, now) if each.provider == provider
                ),
            )

        return await self._store.read(lambda connection: question(register_rows.asking(connection)))

    def _consents(self, ask: Ask, keys: frozenset[int], now: str) -> tuple[Consent, ...]:
        return consents_of(ask, self._registers.masters, keys, now)

    async def end_relation(self, subject: Subject, relation_id: str, wording: str = "") -> None:
        """Ends a care relation of the own provider that does not hold; twice is once. NotFound: another's."""

        def decide(transaction: Transaction) -> None:
            relation = register_rows.relation(transaction.all, relation_id)
            if relation is None:
                raise NotFound
            facts = self._registers.facts_in(transaction, subject, relation.patient_key)
            if not duties.is_administrator_of(facts, relation.provider):
                raise NotFound
            if relation.ends <= datetime.fromisoformat(transaction.time):
                return
            transaction.update("care_relation", {"relation_id": relation_id}, ends=transaction.time)
            masters = self._registers.masters
            grant = grant_of(transaction, relation, "relation")
            if relation.employee and grant is not None and masters.is_connected(Register.RELATION):
                masters.tell(transaction, Register.RELATION, grant, subject, wording, act="cancel")
            audit.append(
                transaction,
                entry(
                    subject,
                    Event.END_RELATION,
                    relation.patient_key,
                    details={"relation": relation_id, "wording": wording},
                ),
            )

        await self._registers.change(decide)
