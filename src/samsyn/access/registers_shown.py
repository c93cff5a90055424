"""What a reader may see of the access registers themselves: grounds, blocks and lifts of one person. Pure.

A block says that somebody has something to hide, so staff in care are told of it by the staged reveal only and never
by its row. The person himself sees everything from the age at which he reads by his own log-in (access.ages): before
it, a guardian who holds that log-in would see what the child has blocked. A block administrator sees what the own
provider has registered; staff with a care relation, and a provider's system, the grounds of the own unit.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from samsyn.access.ages import is_too_young_alone
from samsyn.access.duties import caring_staff, is_administrator_of
from samsyn.access.facts import Facts
from samsyn.access.grounds import valid_assignment
from samsyn.access.standing import Standing
from samsyn.errors import NotAllowed
from samsyn.model.registers import Block, Consent, Lift
from samsyn.model.subject import SubjectKind


@dataclass(frozen=True, slots=True)
class RegistersShown:
    """Rows that are in force or to come."""

    consents: tuple[Consent, ...] = ()
    blocks: tuple[Block, ...] = ()
    lifts: tuple[Lift, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.consents or self.blocks)


def registers_shown(standings: Iterable[Standing]) -> RegistersShown:
    """The rows that a View's reader may see of its persons (PDL 4:4, 5:5; SVOD 2:3, 3:1)."""
    shown = [_of_one(reader.facts) for reader in standings]
    return RegistersShown(
        tuple(row for each in shown for row in each.consents),
        tuple(row for each in shown for row in each.blocks),
        tuple(row for each in shown for row in each.lifts),
    )


def _of_one(facts: Facts) -> RegistersShown:
    if facts.subject.kind is SubjectKind.PATIENT:
        is_own = facts.subject.patient_key in facts.patient_keys and not is_too_young_alone(facts)
        return RegistersShown(facts.consents, facts.blocks, facts.lifts) if is_own else RegistersShown()
    own = valid_assignment(facts)
    if own is None:
        return RegistersShown()
    if is_administrator_of(facts, own.provider_hsa_id):
        blocks = tuple(each for each in facts.blocks if each.provider == own.provider_hsa_id)
        names = {each.block_id for each in blocks}
        return RegistersShown(
            tuple(each for each in facts.consents if each.provider == own.provider_hsa_id),
            blocks,
            tuple(each for each in facts.lifts if each.block_id in names),
        )
    if facts.subject.kind is SubjectKind.STAFF:
        try:
            caring_staff(facts)
        except NotAllowed:
            return RegistersShown()
    unit = (own.provider_hsa_id, own.unit_hsa_id)
    return RegistersShown(tuple(each for each in facts.consents if (each.provider, each.unit) == unit))
