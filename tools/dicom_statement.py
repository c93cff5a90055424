"""Writes docs/conformance/dicom.md from the tables of the DICOM door: `python -m tools.dicom_statement`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from samsyn import limits
from samsyn.dicom.dictionary import keyword_of
from samsyn.dicom.recoding import RECODABLE, RECODED
from samsyn.dicom.sop_classes import (
    INSTANCE_AVAILABILITY_NOTIFICATION,
    STORAGE_CLASSES,
    STORAGE_COMMITMENT,
)
from samsyn.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from samsyn.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from samsyn.endpoints.dimse.contexts import (
    QUERY_OPTIONS,
    RETRIEVE_OPTIONS,
    SERVICES,
    SMALL_SYNTAXES,
    STORE_OPTIONS,
)
from samsyn.endpoints.dimse.statuses import STATUSES
from samsyn.exchange.security import CIPHERS
from samsyn.render.transcoding import DECOMPRESSED
from samsyn.search.keys import DATE_AND_TIME, ITEM_KEYS, KEYS, Kind, is_matched, is_returned
from samsyn.search.query import Level
from samsyn.settings import DataSettings

TARGET: Final = Path(__file__).resolve().parent.parent / "docs" / "conformance" / "dicom.md"

_QUERY_OPTION_NAMES: Final = (
    "Relational queries",
    "Combined date-time matching",
    "Fuzzy semantic matching of person names",
    "Timezone query adjustment",
    "Enhanced multi-frame image conversion",
    "Empty value matching",
    "Multiple value matching",
)
_RETRIEVE_OPTION_NAMES: Final = ("Relational retrieval", "Enhanced multi-frame image conversion")
_STORE_OPTION_NAMES: Final = (
    "Level of support",
    "Reserved",
    "Level of digital signature support",
    "Reserved",
    "Element coercion",
    "Reserved",
)

_INTRODUCTION: Final = """\
# DICOM conformance

Made from the tables that the code uses (`python -m tools.dicom_statement`); a test fails when it is out of date.
The standard is DICOM, its parts cited as PS3.x. DICOMweb has a page of its own.

**What it is.** An archive: it stores, commits to, finds and sends objects, as they came, byte for byte. It is SCP of
Verification, Storage, Storage Commitment and Query/Retrieve, and SCU of Storage, Verification and Instance Availability
Notification. Modality Worklist and Modality Performed Procedure Step are not its business.

**Who may.** Only systems that the settings name: by calling AE title and address, and on the TLS listener by the HSA-id
in the client certificate too. Each has rights of its own (store, query, retrieve). A context that a system has no right
to is refused as "user rejection". Every search and every object that leaves is decided by the View of the asking
system's care unit and is in the audit journal; what is hidden is answered like what does not exist.
"""

_FIND: Final = """\
Keys are matched as PS3.4 C.2.2.2 says. Text is compared with case, but person names with case and accents folded, each
component group by itself; a key with several groups matches when each finds a group. Patient ID takes any written form
of a national number and finds everybody who is linked by merges. Dates and times are matched and told in Swedish time,
to which those of an object that tells its own offset (Timezone Offset From UTC, 0008,0201) are moved when it is filed;
the object keeps them as they were sent. Without an offset they are taken as Swedish time, and a date without time stays
its day. With the timezone option agreed on, question and answer are at the offset of the question. A search that
leaves out unique keys of the levels above is answered as if relational queries had been agreed on. C-CANCEL is obeyed
between answers (FE00). Optional keys that are not matched, or not known to exist, make the answers FF01; they come back
empty. Identifiers may use any character set that is listed in PS3.3 C.12.1.1.2. An answer that is not plain ASCII is
ISO_IR 100 when the question is in that and every text of the answer fits in it, else ISO_IR 192.
"""

_RETRIEVE: Final = """\
C-MOVE goes to destinations of the asking system's own care provider alone; sending to others is a disclosure that a
person decides. Unique keys of the levels above are compared where they are told: in Patient Root nothing is sent that
is not of whom the Patient ID means, in any written form. C-STOREs have the priority of the request.

An object leaves in its stored transfer syntax when the receiver takes it. Else uncompressed objects are written anew
with other headers and the same values, and compressed ones are decoded to Explicit VR Little Endian: pixels exactly as
they were compressed (for lossy JPEG and reversible or irreversible JPEG 2000 colour with Photometric Interpretation
RGB), everything else byte for byte. What can not be given so is a failed sub-operation with an Error Comment and its
UID in Failed SOP Instance UID List. The stored object never changes.
"""

_COMMITMENT: Final = """\
An N-ACTION is answered with success when the request is durable. The N-EVENT-REPORT follows on the same association as
long as it is open, else on one that Samsyn opens to the system's address (proposing the SCP role), else on the next
association that the system itself opens for this class. It is tried again for about a day. What is committed to has
been read again and compared with the hash that it was stored with. What the own provider has rejected is kept, and
committed to like all else. Failure reasons: 0112H not there (or not for this system to know), 0119H another SOP class
than was said, 0110H other bytes under this UID are held for a steward, or the stored bytes are damaged.
"""

_SECURITY: Final = """\
Without TLS the listener stays on loopback, behind a proxy or a tunnel of the operator. The second listener is TLS 1.2
or 1.3 by the BCP 195 profile (PS3.15 B.9), always mutual, with forward secrecy and authenticated encryption only
(`{ciphers}` for TLS 1.2) and, by setting, revocation lists. The client certificate's subject serialNumber is the HSA-id
of the system and must be the one in the settings for its AE title. Destinations can be called by TLS in the same way;
their certificate must carry their host name. User identity is read, answered with nothing and never logged.
"""


def statement() -> str:
    """The whole page."""
    parts = [
        _INTRODUCTION,
        "## Associations\n\n" + _table(("What", "Value"), _association()),
        "## SOP classes as SCP\n\n" + _table(("SOP class", "UID", "Who"), _services()),
        f"Transfer syntaxes for these: {_names(SMALL_SYNTAXES)}, the first that the peer proposes.\n",
        "## Storage\n\nEvery class of the standard, and private ones from systems whose settings say so; in every"
        " transfer syntax below, the first that the peer proposes. Success is answered when the object is durable.\n\n"
        + _table(("SOP class", "UID"), sorted((name, f"`{uid}`") for uid, name in STORAGE_CLASSES.items())),
        "Answers to extended negotiation:\n\n"
        + _table(("Field", "Value"), _options(_STORE_OPTION_NAMES, STORE_OPTIONS)),
        "## Transfer syntaxes\n\n" + _table(("Transfer syntax", "UID", "Leaves as"), _syntaxes()),
        "## C-FIND\n\n" + _FIND,
        "Options of extended negotiation, each granted when it is asked for:\n\n"
        + _table(("Field", "Granted"), _options(_QUERY_OPTION_NAMES, QUERY_OPTIONS)),
        "Attributes by level: M = matched, R = returned.\n\n"
        + _table(("Attribute", "Keyword", *(level.capitalize() for level in Level), "Matching"), _keys()),
        "Keys inside sequences:\n\n" + _table(("Sequence", "Attribute", "Matching"), _items()),
        "Matched as one moment when combined date-time matching was agreed on:\n\n"
        + _table(("Date", "Time"), ((keyword_of(date), keyword_of(time)) for date, time in DATE_AND_TIME)),
        "## C-MOVE and C-GET\n\n" + _RETRIEVE,
        _table(
            ("Field of extended negotiation", "Granted"), _options(_RETRIEVE_OPTION_NAMES, RETRIEVE_OPTIONS)
        ),
        f"## Storage Commitment\n\n`{STORAGE_COMMITMENT}`\n\n" + _COMMITMENT,
        "## As SCU\n\n" + _table(("Service", "When", "Proposes"), _own_calls()),
        "## Refusals\n\nSuccess is 0000H, Pending FF00H or FF01H, Cancel FE00H; B000H tells of failed sub-operations,"
        " A801H of an unknown move destination.\n\n"
        + _table(("Reason", "C-STORE", "C-FIND", "C-MOVE, C-GET", "DIMSE-N"), _refusals()),
        "## Security\n\n" + _SECURITY.format(ciphers=CIPHERS),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"

    heads = tuple(heads)
    return line(heads) + line("---" for _ in heads) + "".join(line(row) for row in rows)


def _names(uids: Iterable[str]) -> str:
    return ", ".join(TRANSFER_SYNTAXES[uid].name for uid in uids)


def _association() -> Iterator[tuple[str, str]]:
    yield "Implementation Class UID", f"`{IMPLEMENTATION_CLASS_UID}`"
    yield "Implementation Version Name", IMPLEMENTATION_VERSION_NAME
    yield "Maximum length received", f"{limits.MAX_PDU_BYTES:,} bytes"
    yield "Smallest maximum length of a peer", f"{limits.MIN_PEER_PDU_BYTES} bytes"
    yield (
        "Associations at the same time",
        f"{limits.MAX_ASSOCIATIONS}, {limits.MAX_ASSOCIATIONS_PER_PEER} of one AE",
    )
    yield "Presentation contexts", f"{limits.MAX_PRESENTATION_CONTEXTS}"
    yield (
        "Asynchronous operations window",
        f"up to {limits.MAX_OUTSTANDING_OPERATIONS} of the peer, as far as it asks;"
        " C-STOREs are then done side by side",
    )
    yield "Role selection", "SCP role of storage classes for who may retrieve; C-GET sends nothing without it"
    yield "An association without traffic ends after", f"{limits.IDLE_ASSOCIATION_TIMEOUT_S:.0f} s"
    slowest = limits.SLOWEST_TRANSFER_BYTES_PER_S // limits.MIB
    yield (
        "A whole message must arrive within",
        f"{limits.MESSAGE_TIMEOUT_S:.0f} s, and a second more for each {slowest} MiB that has come",
    )
    largest = DataSettings().largest_object_mib // 1024
    spooled = limits.SPOOLED_ABOVE_BYTES // limits.MIB
    yield (
        "Largest object over DIMSE",
        f"{largest} GiB unless `[data] largest_object_mib` says less; above {spooled} MiB it goes to disk while it"
        " arrives",
    )
    yield "Large objects that arrive at the same time", f"{limits.MAX_SPOOLED}; more are answered A700"
    yield "Largest identifier", f"{limits.MAX_IDENTIFIER_BYTES // limits.KIB} KiB"
    yield "Largest number of matches", f"{limits.MAX_FIND_ROWS:,}"
    yield (
        "Values of one key",
        f"{limits.MAX_KEY_VALUES:,}, {limits.MAX_KEY_PATTERNS} when some have wild cards",
    )
    yield "Retrievals at work at the same time", f"{limits.MAX_RETRIEVALS}, half of them for one receiver"
    yield (
        "Associations to one destination",
        f"{limits.MAX_OUTGOING_PER_PEER}, and one for each C-MOVE at work",
    )


def _services() -> Iterator[tuple[str, str, str]]:
    for uid, (name, right) in SERVICES.items():
        yield name, f"`{uid}`", right.value


def _options(names: Iterable[str], values: Iterable[int]) -> Iterator[tuple[str, str]]:
    for name, value in zip(names, values, strict=True):
        yield name, str(value)


def _syntaxes() -> Iterator[tuple[str, str, str]]:
    others = [TRANSFER_SYNTAXES[uid].name for uid in RECODED]
    for syntax in TRANSFER_SYNTAXES.values():
        forms = [syntax.name]
        if syntax.uid in RECODABLE or syntax.uid in DECOMPRESSED:
            forms += [name for name in others if name != syntax.name]
        yield syntax.name, f"`{syntax.uid}`", ", else ".join(forms)


def _keys() -> Iterator[tuple[str, ...]]:
    for key in sorted(KEYS, key=lambda key: key.tag):
        in_items = key.kind is Kind.SEQUENCE
        marks = [
            " ".join(
                mark
                for mark, holds in (
                    ("M", is_matched(key, level) or (in_items and _has_items(key.tag, level))),
                    ("R", is_returned(key.tag, level)),
                )
                if holds
            )
            for level in Level
        ]
        yield _tag(key.tag), keyword_of(key.tag), *marks, key.kind.value


def _has_items(sequence: int, level: Level) -> bool:
    return any(of == sequence and is_matched(key, level) for (of, _), key in ITEM_KEYS.items())


def _items() -> Iterator[tuple[str, str, str]]:
    for (sequence, tag), key in ITEM_KEYS.items():
        yield f"{_tag(sequence)} {keyword_of(sequence)}", f"{_tag(tag)} {keyword_of(tag)}", key.kind.value


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _own_calls() -> Iterator[tuple[str, str, str]]:
    yield (
        "Storage",
        "C-MOVE, and sending that a reader asks for",
        "each object's class and stored transfer syntax, then the forms above, one context each",
    )
    yield "Storage Commitment", "answers to requests", f"{_names(SMALL_SYNTAXES[:2])}; SCP role"
    yield (
        f"Instance Availability Notification `{INSTANCE_AVAILABILITY_NOTIFICATION}`",
        "a series is complete, to systems whose settings say so",
        _names(SMALL_SYNTAXES[:2]),
    )


def _refusals() -> Iterator[tuple[str, ...]]:
    for kind, codes in STATUSES.items():
        numbers = (codes.store, codes.find, codes.retrieve, codes.normalized)
        yield kind.sentence, *(f"{code:04X}H" for code in numbers)


def main() -> None:
    """Writes the page."""
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(statement(), encoding="utf-8")


if __name__ == "__main__":
    main()
