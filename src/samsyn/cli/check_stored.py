"""`samsyn check --stored`: whether journal, series objects and index say the same, and what to do where they do not."""

import sys
from collections.abc import Iterator
from typing import Final

from samsyn.errors import SamsynError
from samsyn.settings import Settings
from samsyn.store.comparing.compare import Compared, compare
from samsyn.store.comparing.objects import ObjectsSeen
from samsyn.store.comparing.rows import Difference, Kind

_NAMES: Final = {
    "patient": "patients",
    "patient_identifier": "patient identifiers",
    "study": "studies",
    "series": "series",
    "instance": "instances",
    "referral": "referrals",
    "report": "report versions",
    "message": "HL7 messages",
    "held": "held objects and messages",
    "original_body": "originals of corrected objects",
    "draft_body": "drafts of corrected objects",
    "audit": "audit entries",
    "series_object": "settled series",
}
_REBUILD: Final = "stop the service and run `samsyn index rebuild`, which makes it anew from the journal"
_MISSING: Final = (
    "put the missing part of journal/ back from the second copy or the back-up; do not make the index anew before,"
    " since it alone still tells what is missing"
)
_OBJECTS: Final = (
    "with [data] second_copy `samsyn scrub` mends them, else put the files of objects/ back from the back-up (in a"
    " cluster: the objects series/… from the object store's own copies)"
)
_BODIES: Final = (
    "with [data] second_copy `samsyn scrub` mends them, else put the segments of journal/ back from the back-up, or"
    " have the senders send them again"
)


def findings(values: Settings, *, hashes: bool) -> tuple[list[str], list[str]]:
    """(what is wrong, what else is worth knowing). Says on standard error how far it has come."""
    try:
        found = compare(values, _tell, hashes=hashes)
    except SamsynError as problem:
        return [f"what is stored could not be compared: {problem.detail or problem.sentence}"], []
    has_own = values.node.durability == "own-journal"
    wrong = [*_journal(found, has_own), *_rows(found, has_own), *_bodies(found), *_objects(found.objects)]
    return wrong, [*_notes(found), *([] if wrong else [_whole(found, hashes=hashes)])]


def _tell(how_far: str) -> None:
    print(how_far, file=sys.stderr, flush=True)


def _journal(found: Compared, has_own: bool) -> Iterator[str]:
    """`has_own`: whether nodes keep their latest records on disks of their own."""
    if has_own and (found.journal_fault or found.known > found.records):
        why = f" ({found.journal_fault})" if found.journal_fault else ""
        yield (
            f"only the first {found.records} of {found.known} records are in the object store{why}: others may lie on"
            " nodes' own disks. The rest is not compared: stop all nodes, which hand them over, and check again; a node"
            " that was lost has to start once more with its disk"
        )
    elif found.journal_fault:
        yield (
            f"the journal can not be read behind record {found.records}: {found.journal_fault}. `samsyn scrub` mends it"
            " from [data] second_copy where there is one, else put the segment back from the back-up"
        )
    elif found.known > found.records:
        yield (
            f"the index knows {found.known} records, and the journal ends with {found.records}:"
            f" {found.known - found.records} that were acknowledged are gone; {_MISSING}"
        )


def _rows(found: Compared, has_own: bool) -> Iterator[str]:
    if found.index_fault:
        yield f"the index can not be read ({found.index_fault}): {_REBUILD}"
        return
    is_short = found.known > found.records
    if not found.rows or (is_short and (has_own or found.journal_fault)):
        return
    lines = [line for difference in found.rows for line in _lines(difference)]
    if is_short:
        yield "\n  – ".join(
            ("with those records the index has what the journal does not tell of any more:", *lines)
        )
    else:
        yield "\n  – ".join((f"the index does not say what the journal says: {_REBUILD}", *lines))


def _lines(difference: Difference) -> Iterator[str]:
    name = _NAMES.get(difference.table, f"rows of {difference.table}")
    for kind, what in (
        (difference.missing, "in the journal are not in the index"),
        (difference.strange, "in the index are in no record of the journal"),
        (difference.other, "stand otherwise in the index than in the journal"),
    ):
        if kind.count:
            yield f"{kind.count} {name} {what}{_examples(kind)}"


def _examples(kind: Kind) -> str:
    more = ", …" if kind.count > len(kind.examples) else ""
    return f" ({', '.join(kind.examples)}{more})" if kind.examples else ""


def _bodies(found: Compared) -> Iterator[str]:
    for table, kind in found.gone.items():
        yield (
            f"the bytes of {kind.count} {_NAMES[table]} are not in the journal any more as they came{_examples(kind)}:"
            f" {_BODIES}"
        )


def _objects(seen: ObjectsSeen) -> Iterator[str]:
    for what, kind in seen.unreadable.items():
        yield f"{kind.count} series objects can not be read{_examples(kind)}, {what}: {_OBJECTS}"
    if seen.others.count:
        yield (
            f"{seen.others.count} series objects hold other instances than the journal says{_examples(seen.others)}:"
            f" {_OBJECTS}"
        )
    if seen.rotten.count:
        yield (
            f"{seen.rotten.count} settled instances have not their SHA-256 any more{_examples(seen.rotten)}: {_OBJECTS}"
        )
    if seen.lost_places.count:
        yield (
            f"the bytes of {seen.lost_places.count} instances are not in the series objects that they should be"
            f" in{_examples(seen.lost_places)}: {_OBJECTS}"
        )
    if seen.untold.count:
        yield (
            f"{seen.untold.count} series objects hold instances that no record of the journal tells"
            f" of{_examples(seen.untold)}: the journal is older than the objects, or they are another installation's;"
            f" {_MISSING}"
        )


def _notes(found: Compared) -> Iterator[str]:
    if not found.has_index and not found.index_fault:
        yield "there is no index of this version: the next start makes it from the journal"
    elif found.waiting:
        yield (
            f"{found.waiting} records of the journal are not in the index yet: what a service is just storing, or what"
            " the next start adds by itself"
        )
    if found.torn_bytes:
        yield (
            f"{found.torn_bytes} bytes behind the journal's last record are none: a service is at work, or a crash has"
            " torn what was acknowledged to nobody"
        )
    left = found.objects.left_over
    if left.count:
        yield (
            f"{left.count} series objects are left over from attempts that were not recorded{_examples(left)}; all that"
            " is in them is kept elsewhere"
        )


def _whole(found: Compared, *, hashes: bool) -> str:
    seen = found.objects
    read = ", and every stored byte has its SHA-256" if hashes else ""
    return (
        f"journal, series objects and index say the same: {found.records} records, {seen.objects} objects with"
        f" {seen.instances} settled instances{read}"
    )
