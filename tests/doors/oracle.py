"""The law, written a second time from its text, for the matrix to be judged by.

It imports nothing of Samsyn and shares no thought with `samsyn.access`: there the rules are asked in order about
one item; here each reader's *permissions* are worked out paragraph by paragraph and the widest one counts.

PDL = patientdatalagen (2008:355); SVOD = lagen (2022:913) om sammanhållen vård- och omsorgsdokumentation.
"""

from tests.doors.words import Block, Ground, Reader, Seen, State

PATIENT_DELAY_DAY = 20260101
"""Documents of the matrix lie years back, so that the region's delay for patients never decides."""


def permitted(reader: Reader, state: State, part: str = "images") -> Seen:
    """The most that the law lets this reader learn of one part of the examination (images, measurement, report,
    referral)."""
    if state.is_held:
        return (
            Seen.NOTHING
        )  # nobody has entered it in a record: there is nothing that a care provider could open
    if state.is_rejected and part in ("images", "measurement"):
        return (
            Seen.NOTHING
        )  # PDL 3:14, 3:17: the owner has taken it back; it is kept, and shown to nobody in care
    if reader.kind == "nobody":
        return Seen.NOTHING  # HSLF-FS 2016:40 3 kap. 15 §: strong authentication before anything
    if reader.kind == "patient":
        return _direct_access(reader, state, part)
    if reader.kind == "system":
        return _system(reader, state)
    if reader.kind == "consumer":
        return Seen.NOTHING  # row 33: no patient data without an end user, but by a contract (by_contract)
    return _staff(reader, state)


def _staff(reader: Reader, state: State) -> Seen:
    if reader.place is None or reader.is_expired or not reader.scope:
        return Seen.NOTHING  # PDL 4:2: authorisation is limited to what the work needs; none is none
    if reader.purpose != "care":
        return Seen.NOTHING  # SVOD 2:1; the doors of the matrix are clinical, row 27: never through them
    if not _takes_part(reader, state):
        return Seen.NOTHING  # PDL 4:1, SVOD 3:1 p.1
    return max(_own_unit(reader, state), _inside_provider(reader, state), _across(reader, state))


def _takes_part(reader: Reader, state: State) -> bool:
    return any(
        relation.place == reader.place
        and relation.employee in ("", reader.employee)
        and relation.starts <= 0 < relation.ends
        for relation in state.relations
    )


def _own_unit(reader: Reader, state: State) -> Seen:
    """PDL 4:1; a block stands against other units and other providers, not against the unit that documented."""
    return Seen.CONTENT if state.owner == reader.place else Seen.NOTHING


def _inside_provider(reader: Reader, state: State) -> Seen:
    """Other units of the own provider: PDL 4:1 with an active choice; 4:4-5 for inner blocks."""
    assert reader.place is not None
    if state.owner.provider != reader.place.provider or state.owner == reader.place:
        return Seen.NOTHING
    if reader.scope == "unit":
        return Seen.NOTHING
    if not state.owner.unit:
        return Seen.EXISTENCE  # row 30: not shown; tell that more exists
    if any(
        block.kind == "inner" and block.unit in ("", state.owner.unit) and _binds(block, reader, state)
        for block in state.blocks
    ):
        return Seen.OWNER if reader.blocked_units_named else Seen.EXISTENCE
    return {"": Seen.EXISTENCE, "named": Seen.OWNER, "read": Seen.CONTENT}[reader.units]


def _across(reader: Reader, state: State) -> Seen:
    """Other providers: SVOD 2:4-5 (two bits), 3:1, 3:3, 3:6 (grounds), 2:3, 3:5 and 3:7 (blocks)."""
    assert reader.place is not None
    if state.owner.provider == reader.place.provider or reader.scope != "cross":
        return Seen.NOTHING
    if not state.owner.provider or not state.owner.unit:
        return Seen.EXISTENCE  # row 30
    grounds = {ground.kind for ground in state.grounds if _is_valid(ground, reader, state)}
    if _is_blocked_outward(reader, state):
        # SVOD 3:7: no ground opens a block. 3:5: in danger the blocking provider's name.
        return Seen.OWNER if "emergency" in grounds and reader.blockers_named else Seen.EXISTENCE
    if not grounds:
        return Seen.EXISTENCE
    if reader.providers == "read" and (not grounds.isdisjoint({"consent", "child"}) or reader.need_attested):
        return Seen.CONTENT
    return Seen.OWNER if reader.providers else Seen.EXISTENCE


def _is_valid(ground: Ground, reader: Reader, state: State) -> bool:
    """In force for the reader; and who is eighteen is no child that could lack the ability (SVOD 3:1 st. 2)."""
    if ground.kind == "child" and state.age in ("", "eighteen"):
        return False
    return (
        ground.place == reader.place
        and ground.employee in ("", reader.employee)
        and ground.starts <= 0
        and (ground.ends is None or ground.ends > 0)
        and (ground.ended is None or ground.ended > 0)
    )


def _is_blocked_outward(reader: Reader, state: State) -> bool:
    """Row 21 and 25: an outer block hides the whole provider, an inner one its unit from other providers too."""
    return any(
        block.provider == state.owner.provider
        and (block.kind == "outer" or block.unit in ("", state.owner.unit))
        and _binds(block, reader, state)
        for block in state.blocks
    )


def _binds(block: Block, reader: Reader, state: State) -> bool:
    """In force for this reader and this examination's days: partly covered is covered, unknown is covered."""
    assert reader.place is not None
    if block.provider != state.owner.provider or not _covers(block, state):
        return False
    person = reader.employee if reader.kind == "staff" else ""
    return not any(
        lift.block == block.name
        and lift.unit == reader.place.unit
        and lift.employee in ("", person)
        and lift.starts <= 0 < min(lift.ends, lift.starts + 7 * 24)
        and (lift.ended is None or lift.ended > 0)
        for lift in state.lifts
    )


def _covers(block: Block, state: State) -> bool:
    if block.ended is not None and block.ended <= 0:
        return False
    before = block.first is not None and state.last_day is not None and state.last_day < block.first
    after = block.last is not None and state.first_day is not None and state.first_day > block.last
    return not before and not after


def _system(reader: Reader, state: State) -> Seen:
    """A provider's own system reads what the provider is controller of; others' only where its unit may (SVOD 3:1).

    No person stands at the screen: no bits, no names, no attestation, hence no emergency and no incapacity.
    """
    assert reader.place is not None
    if not state.owner.provider or not state.owner.unit:
        return Seen.NOTHING
    if state.owner.provider == reader.place.provider:
        return Seen.CONTENT
    related = any(
        relation.place == reader.place and relation.starts <= 0 < relation.ends
        for relation in state.relations
    )
    consented = any(
        ground.kind in ("consent", "child") and not ground.employee and _is_valid(ground, reader, state)
        for ground in state.grounds
    )
    may = related and consented and not _is_blocked_outward(reader, state)
    return Seen.CONTENT if may else Seen.NOTHING


def _direct_access(reader: Reader, state: State, part: str) -> Seen:
    """PDL 5:5, SVOD 4:2: a person's own information, as the provider has released it; never a stranger's.

    What nobody has signed is not released (row 28); a block is the patient's own word against staff.
    """
    if not (reader.is_himself or _stands_in(reader, state)) or not state.owner.provider:
        return Seen.NOTHING
    if not state.owner.unit:
        return Seen.NOTHING
    if _is_too_young_alone(reader, state):
        return Seen.NOTHING
    if state.last_day is None or state.last_day > PATIENT_DELAY_DAY:
        return Seen.NOTHING
    if part in ("report", "measurement") and state.report == "preliminary":
        return Seen.NOTHING
    if part == "measurement" and state.report == "annulled":
        return Seen.NOTHING  # what was measured in pictures goes with a report that holds
    return Seen.CONTENT


def _is_too_young_alone(reader: Reader, state: State) -> bool:
    """Row 28: a child reads alone from sixteen; until thirteen the guardian does."""
    return reader.is_himself and reader.kind == "patient" and state.age in ("twelve", "thirteen", "fifteen")


def _stands_in(reader: Reader, state: State) -> bool:
    """A guardian in the stead of a child (PDL 5:5, row 29): until the child is thirteen, as long as the population
    register says so, and never where the child's whereabouts are protected."""
    return reader.is_guardian and state.guardian == "now" and state.age == "twelve" and not state.is_protected


def by_contract(reader: Reader, state: State) -> Seen:
    """What the national contract for reports may tell: a report, with what belongs to it, and nothing else.

    A consumer of care is told what is made available (SVOD 2:4), and applies relation and consent itself; whose
    block it is does not matter, since it does not say who will read (SVOD 2:3, PDL 4:4). One that serves patients
    gets what is approved for them, and an annulled report is not.
    """
    if reader.kind != "consumer":
        law = permitted(reader, state, "report")
        # Images alone make no report; a patient himself at this door is served as a consumer serves him.
        return Seen.NOTHING if reader.kind == "patient" and state.report == "annulled" else law
    if state.is_held or not state.owner.provider or not state.owner.unit:
        return Seen.NOTHING
    if reader.is_himself:
        return Seen.NOTHING if state.report == "annulled" else _direct_access(reader, state, "report")
    for block in state.blocks:
        hides = block.kind == "outer" or block.unit in ("", state.owner.unit)
        if block.provider == state.owner.provider and hides and _covers(block, state):
            return Seen.NOTHING
    return Seen.CONTENT


def may_learn_who(reader: Reader, state: State) -> bool:
    """Whether this reader may be told a person's name from a number: the step before any document.

    Care staff choose the patient before the relation is attested (PDL 4:1, HSLF-FS 2016:40 4 kap.); the person
    himself; a system only of whom it may read something. Nobody else.
    """
    if reader.kind == "patient":
        return reader.is_himself or _stands_in(reader, state)
    if reader.kind == "system":
        return not state.is_held and permitted(reader, state, "report") is Seen.CONTENT
    return (
        reader.kind == "staff"
        and reader.place is not None
        and not reader.is_expired
        and bool(reader.scope)
        and reader.purpose == "care"
    )


def for_stewardship(reader: Reader, state: State) -> Seen:
    """A steward mends what his own provider answers for: patient administration (PDL 2:4 p. 2), which no block of
    the patient's stands against, which knows what was taken back, and sees no other provider's information."""
    if not has_duty(reader, "steward") or state.is_held:
        return Seen.NOTHING
    assert reader.place is not None
    return Seen.CONTENT if state.owner.provider == reader.place.provider else Seen.NOTHING


def registers_seen(reader: Reader, state: State) -> set[str]:
    """Which rows of the registers the reader may see as rows, by what they are called in the state.

    The person sees the own ones (PDL 5:5) from sixteen; a block administrator what the own provider has registered;
    staff who take part in the care, and a provider's system, the grounds of the own unit. A block is shown to nobody
    else: that something is blocked is told by two bits and nothing more (SVOD 2:4-5).
    """
    grounds = {
        f"ground {place}": ground
        for place, ground in enumerate(state.grounds)
        if (ground.ends is None or ground.ends > 0) and (ground.ended is None or ground.ended > 0)
    }
    blocks = {f"block {each.name}": each for each in state.blocks if each.ended is None or each.ended > 0}
    if reader.kind == "patient":
        return {*grounds, *blocks} if reader.is_himself and not _is_too_young_alone(reader, state) else set()
    if reader.kind == "nobody" or reader.place is None or reader.is_expired:
        return set()
    if has_duty(reader, "block-administrator"):
        own = {name for name, each in grounds.items() if each.place.provider == reader.place.provider}
        return own | {name for name, each in blocks.items() if each.provider == reader.place.provider}
    if reader.kind == "staff" and not (
        reader.scope and reader.purpose == "care" and _takes_part(reader, state)
    ):
        return set()
    return {name for name, each in grounds.items() if each.place == reader.place}


def has_duty(reader: Reader, duty: str) -> bool:
    """Whether the reader does this for his provider (a block administrator keeps blocks, PDL 4:4, SVOD 2:3)."""
    return (
        reader.kind == "staff"
        and reader.place is not None
        and not reader.is_expired
        and duty in reader.duties
    )
