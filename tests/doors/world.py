"""Who reads and what there is to read: the rows and columns of the matrix, as data."""

from dataclasses import replace

from tests.doors.words import Block, Ground, Lift, Place, Reader, Relation, State

NORD, KLARA, LINDEN = "SE9990000001-0001", "SE9990000002-0001", "SE9990000004-0001"
MEDICINE = Place(NORD, "SE9990000001-1003")
RADIOLOGY = Place(NORD, "SE9990000001-1001")
EMERGENCY_ROOM = Place(NORD, "SE9990000001-1002")
KLARA_CITY = Place(KLARA, "SE9990000002-1001")
LINDEN_UNIT = Place(LINDEN, "SE9990000004-1001")
ME, COLLEAGUE, GP = "SE9990000001-9005", "SE9990000001-9006", "SE9990000004-9001"

NAMES_OF = {
    MEDICINE: ("Medicin Nordsjukhuset", MEDICINE.unit),
    RADIOLOGY: ("Röntgen Nordsjukhuset", RADIOLOGY.unit),
    KLARA_CITY: ("Klara Röntgen", KLARA_CITY.unit, KLARA),
}
"""What tells an owner on a page or in an answer."""

_RELATED = tuple(Relation(place) for place in (MEDICINE, RADIOLOGY, LINDEN_UNIT, KLARA_CITY))
_READING_UNITS = (MEDICINE, RADIOLOGY, LINDEN_UNIT)


def _for_all(kind: str, **rest: object) -> tuple[Ground, ...]:
    """The same ground for every unit that has readers."""
    return tuple(Ground(kind, place, **rest) for place in _READING_UNITS)  # type: ignore[arg-type]


_CONSENT = _for_all("consent")
_INNER = Block("inner", "inner", NORD, RADIOLOGY.unit)
_OUTER = Block("outer", "outer", KLARA)
_INNER_AWAY = Block("inner", "inner", KLARA, KLARA_CITY.unit)
_OWN = State("own unit", MEDICINE, _RELATED)
_NEAR = State("own provider", RADIOLOGY, _RELATED)
_FAR = State("other provider", KLARA_CITY, _RELATED)
_MIDDLE, _BEFORE = (20200201, 20200331), (20190101, 20191231)


def _lifts(block: str, **rest: object) -> tuple[Lift, ...]:
    return tuple(Lift(block, place.unit, **rest) for place in _READING_UNITS)  # type: ignore[arg-type]


_CHILD = replace(_FAR, name="child of twelve, guardian", guardian="now", age="twelve")
CHILDREN: tuple[State, ...] = (
    _CHILD,
    replace(_CHILD, name="child of twelve, outer block, guardian", blocks=(_OUTER,)),
    replace(_CHILD, name="child of twelve, preliminary, guardian", report="preliminary"),
    replace(_CHILD, name="child of twelve, protected identity, guardian", is_protected=True),
    replace(_CHILD, name="child of twelve, guardian later", guardian="later"),
    replace(_CHILD, name="child of twelve, guardian no more", guardian="over"),
    replace(_CHILD, name="child of twelve, guardian taken back", guardian="taken back"),
    replace(_CHILD, name="child of twelve, no guardian", guardian=""),
    replace(_CHILD, name="thirteen today, guardian", age="thirteen"),
    replace(_CHILD, name="age unknown, guardian", age=""),
    replace(_FAR, name="fifteen, own log-in", age="fifteen"),
    replace(_FAR, name="sixteen today, own log-in", age="sixteen"),
)

STATES: tuple[State, ...] = (
    *CHILDREN,
    _OWN,
    replace(_OWN, name="own unit, own inner block", blocks=(Block("b", "inner", NORD, MEDICINE.unit),)),
    replace(_OWN, name="own unit, own outer block", blocks=(Block("b", "outer", NORD),)),
    replace(_OWN, name="own unit, relation is personal", relations=(Relation(MEDICINE, ME),)),
    replace(_OWN, name="own unit, relation is a colleague's", relations=(Relation(MEDICINE, COLLEAGUE),)),
    replace(_OWN, name="own unit, relation is over", relations=(Relation(MEDICINE, ends=-0.1),)),
    replace(_OWN, name="own unit, relation begins later", relations=(Relation(MEDICINE, starts=1),)),
    replace(_OWN, name="own unit, preliminary", report="preliminary"),
    replace(_OWN, name="own unit, annulled report", report="annulled"),
    replace(_OWN, name="own unit, held", is_held=True),
    replace(_OWN, name="own unit, protected identity", is_protected=True),
    _NEAR,
    replace(_NEAR, name="own provider, inner block", blocks=(_INNER,)),
    replace(_NEAR, name="own provider, inner block without unit", blocks=(replace(_INNER, unit=""),)),
    replace(_NEAR, name="own provider, inner block covers part", blocks=(replace(_INNER, first=_MIDDLE[0]),)),
    replace(
        _NEAR,
        name="own provider, inner block before",
        blocks=(replace(_INNER, first=_BEFORE[0], last=_BEFORE[1]),),
    ),
    replace(_NEAR, name="own provider, inner block ended", blocks=(replace(_INNER, ended=-0.1),)),
    replace(_NEAR, name="own provider, inner block lifted", blocks=(_INNER,), lifts=_lifts("inner")),
    replace(
        _NEAR, name="own provider, lift for me", blocks=(_INNER,), lifts=(Lift("inner", MEDICINE.unit, ME),)
    ),
    replace(
        _NEAR,
        name="own provider, lift for a colleague",
        blocks=(_INNER,),
        lifts=(Lift("inner", MEDICINE.unit, COLLEAGUE),),
    ),
    replace(_NEAR, name="own provider, lift is over", blocks=(_INNER,), lifts=_lifts("inner", ends=-0.1)),
    replace(
        _NEAR,
        name="own provider, lift older than 7 days",
        blocks=(_INNER,),
        lifts=_lifts("inner", starts=-169, ends=24),
    ),
    replace(_NEAR, name="own provider, outer block", blocks=(Block("outer", "outer", NORD),)),
    replace(_NEAR, name="own provider, unit unknown", owner=Place(NORD, "")),
    _FAR,
    replace(_FAR, name="other provider, consent", grounds=_CONSENT),
    replace(_FAR, name="other provider, consent for me", grounds=(Ground("consent", MEDICINE, ME),)),
    replace(
        _FAR,
        name="other provider, consent for a colleague",
        grounds=(Ground("consent", MEDICINE, COLLEAGUE),),
    ),
    replace(
        _FAR, name="other provider, consent for another unit", grounds=(Ground("consent", EMERGENCY_ROOM),)
    ),
    replace(_FAR, name="other provider, consent is over", grounds=_for_all("consent", ends=-0.1)),
    replace(_FAR, name="other provider, consent begins later", grounds=_for_all("consent", starts=1)),
    replace(_FAR, name="other provider, consent withdrawn", grounds=_for_all("consent", ended=-0.1)),
    replace(_FAR, name="other provider, consent without relation", grounds=_CONSENT, relations=()),
    replace(_FAR, name="other provider, child", grounds=_for_all("child"), age="seventeen"),
    replace(
        _FAR, name="other provider, child that is eighteen today", grounds=_for_all("child"), age="eighteen"
    ),
    replace(_FAR, name="other provider, incapacity", grounds=_for_all("incapacity")),
    replace(
        _FAR,
        name="other provider, emergency",
        grounds=(Ground("emergency", MEDICINE, ME), Ground("emergency", LINDEN_UNIT, GP)),
    ),
    replace(_FAR, name="outer block", blocks=(_OUTER,)),
    replace(_FAR, name="outer block, consent", blocks=(_OUTER,), grounds=_CONSENT),
    replace(
        _FAR,
        name="outer block, emergency",
        blocks=(_OUTER,),
        grounds=(Ground("emergency", MEDICINE, ME), Ground("emergency", LINDEN_UNIT, GP)),
    ),
    replace(
        _FAR, name="outer block, consent, lift", blocks=(_OUTER,), grounds=_CONSENT, lifts=_lifts("outer")
    ),
    replace(_FAR, name="outer block, lift without consent", blocks=(_OUTER,), lifts=_lifts("outer")),
    replace(
        _FAR,
        name="outer block, consent, lift ended",
        blocks=(_OUTER,),
        grounds=_CONSENT,
        lifts=_lifts("outer", ended=-0.1),
    ),
    replace(
        _FAR,
        name="outer block covers the day, consent",
        blocks=(replace(_OUTER, first=_MIDDLE[0], last=_MIDDLE[1]),),
        grounds=_CONSENT,
    ),
    replace(
        _FAR,
        name="outer block before the day, consent",
        blocks=(replace(_OUTER, first=_BEFORE[0], last=_BEFORE[1]),),
        grounds=_CONSENT,
    ),
    replace(_FAR, name="inner block elsewhere, consent", blocks=(_INNER_AWAY,), grounds=_CONSENT),
    replace(
        _FAR,
        name="no day, block of other days, consent",
        blocks=(replace(_OUTER, first=_BEFORE[0], last=_BEFORE[1]),),
        grounds=_CONSENT,
        first_day=None,
        last_day=None,
    ),
    replace(_FAR, name="no day, consent", grounds=_CONSENT, first_day=None, last_day=None),
    replace(_FAR, name="owner unknown, consent", owner=Place("", ""), grounds=_CONSENT),
    replace(_FAR, name="unit unknown, consent", owner=Place(KLARA, ""), grounds=_CONSENT),
    replace(_FAR, name="preliminary, consent", grounds=_CONSENT, report="preliminary"),
    replace(_FAR, name="annulled report, consent", grounds=_CONSENT, report="annulled"),
    replace(_FAR, name="held, consent", grounds=_CONSENT, is_held=True),
    replace(_OWN, name="own unit, rejected", is_rejected=True),
    replace(_FAR, name="rejected, consent", grounds=_CONSENT, is_rejected=True),
    replace(_FAR, name="protected identity, consent", grounds=_CONSENT, is_protected=True),
    replace(_FAR, name="merged number, consent", grounds=_CONSENT, is_merged=True),
    replace(
        _FAR, name="merged number, outer block, consent", grounds=_CONSENT, blocks=(_OUTER,), is_merged=True
    ),
)

_PHYSICIAN = Reader(
    "physician, everything chosen", "staff", MEDICINE, ME, "care", "cross", False, "read", True
)
_PHYSICIAN = replace(_PHYSICIAN, providers="read", need_attested=True, blockers_named=True)
_PLAIN = Reader("physician, nothing chosen", "staff", MEDICINE, ME, "care", "cross")

READERS: tuple[Reader, ...] = (
    _PHYSICIAN,
    _PLAIN,
    replace(_PLAIN, name="physician, names asked for", units="named", providers="named"),
    replace(_PLAIN, name="physician, providers chosen without attestation", providers="read"),
    replace(_PHYSICIAN, name="within the provider", scope="provider"),
    replace(_PHYSICIAN, name="within the unit", scope="unit"),
    replace(_PHYSICIAN, name="without right", scope=""),
    replace(_PHYSICIAN, name="assignment expired", is_expired=True),
    replace(_PHYSICIAN, name="no assignment", place=None),
    replace(_PHYSICIAN, name="colleague", employee=COLLEAGUE),
    replace(_PHYSICIAN, name="emergency room, no relation", place=EMERGENCY_ROOM),
    replace(_PHYSICIAN, name="general practitioner", place=LINDEN_UNIT, employee=GP),
    replace(_PHYSICIAN, name="radiologist of the owner", place=KLARA_CITY, employee="SE9990000002-9001"),
    replace(_PHYSICIAN, name="secretary", purpose="administration"),
    replace(_PHYSICIAN, name="quality", purpose="quality"),
    replace(_PHYSICIAN, name="statistics", purpose="statistics"),
    replace(_PHYSICIAN, name="researcher", purpose="research"),
    replace(
        _PHYSICIAN,
        name="block administrator",
        purpose="administration",
        scope="",
        duties=frozenset({"block-administrator"}),
    ),
    replace(_PHYSICIAN, name="log reviewer", purpose="quality", scope="", duties=frozenset({"log-reviewer"})),
    replace(_PHYSICIAN, name="steward", purpose="administration", scope="", duties=frozenset({"steward"})),
    Reader("the patient himself", "patient", is_himself=True),
    Reader("another patient", "patient"),
    Reader("a guardian", "patient", is_guardian=True),
    Reader("nobody", "nobody"),
    Reader("NORDWEB", "system", RADIOLOGY),
    Reader("KLARAWEB", "system", KLARA_CITY),
    Reader("LINDENWEB", "system", LINDEN_UNIT),
    Reader("OVERSIKT", "consumer"),
    Reader("JOURNALEN", "consumer", is_himself=True),
)

DICOM_READERS: tuple[Reader, ...] = (
    Reader("NORDPACS", "system", RADIOLOGY),
    Reader("KLARAPACS", "system", KLARA_CITY),
    Reader("STRANGER", "nobody"),
)
