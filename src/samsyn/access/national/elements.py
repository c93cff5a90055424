"""What the national contracts have in common: texts, times and results in their answers, persons in our calls.

The contracts name alike things differently: newer ones begin elements with a small letter, older ones with a capital,
and the code of a refused call is VALIDATION_ERROR in some and VALIDATIONERROR in others. Elements of other name
spaces are passed over (every type ends with `any`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lxml import etree

from samsyn.access.national.soap import Element
from samsyn.clock import STOCKHOLM
from samsyn.errors import BadInput, NotSupported, OutOfResources
from samsyn.model.subject import Subject, SubjectKind

LONGEST: Final = 64
"""Characters of an id in an answer: a UUID has 36, an HSA-id 32."""
_DONE: Final = frozenset({"OK", "INFO"})
_REFUSED: Final = frozenset({"VALIDATION_ERROR", "VALIDATIONERROR"})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for a registration, as the contracts name him (ActorType)."""

    employee: str
    """HSA-id; "" = the patient himself."""
    assignment: str
    assignment_name: str


def actor_of(subject: Subject) -> Actor:
    """The member of staff with the chosen assignment, or the patient. BadInput: nobody with an HSA-id of his own."""
    if subject.kind is SubjectKind.PATIENT:
        return Actor("", "", "")
    own = subject.assignment
    if own is None or not subject.hsa_id.startswith("SE"):
        raise BadInput("the national registers take registrations by staff and the patient only")
    return Actor(subject.hsa_id, own.hsa_id, own.name)


def text_of(parent: Element, space: str, *names: str, longest: int = LONGEST) -> str:
    """The text of an element below `parent`, "" when there is none. OutOfResources: longer than anything sensible, or
    in parts, of which the first would be read as another number."""
    found = parent
    for name in names:
        found = found.find(f"{{{space}}}{name}") if found is not None else None
    if found is not None and len(found):
        raise OutOfResources("the national service tells a name in parts")
    text = (found.text or "").strip() if found is not None else ""
    if len(text) > longest:
        raise OutOfResources("the national service tells a name that is too long")
    return text


def moment_of(text: str) -> datetime | None:
    """An xs:dateTime; one without zone is Swedish. None: none, or no time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=STOCKHOLM)).astimezone(UTC)


def add(parent: Element, space: str, name: str, text: str = "") -> Element:
    """A new element at the end of `parent`; the order of calls is the schema's order of elements."""
    element = etree.SubElement(parent, f"{{{space}}}{name}")
    if text:
        element.text = text
    return element


def swedish(moment: datetime) -> str:
    """How a moment stands in our calls: Swedish time with its offset, to the second."""
    return moment.astimezone(STOCKHOLM).isoformat(timespec="seconds")


def check_result(result: Element, space: str, code_name: str, text_name: str) -> None:
    """NotSupported: the service says that our call is wrong, sending it again is no use. OutOfResources: anything
    else but success; to have done the same already is success."""
    if result is None:
        raise OutOfResources("the national service answers without a result")
    code = text_of(result, space, code_name)
    if code in _DONE or code == "ALREADYEXISTS":
        return
    said = text_of(result, space, text_name, longest=4_096)[:200]
    if code in _REFUSED:
        raise NotSupported(f"the national service refuses: {code} {said}")
    raise OutOfResources(f"the national service: {code or 'no result code'} {said}")
