"""Which versions under one accession number are one report, and which are reports beside each other.

A radiology department often answers two examinations of one referral (chest and abdomen) under one accession number,
each with its own order (OBR-3). Were they versions of one report, the later one would hide the other. Orders that
were sent side by side in one message with different texts, or that name different procedures, are different reports.
An order number alone does not part them, since some sources number every version anew; and one that stood at different
texts and procedures in one message (none, where reports come as FHIR resources) is several orders, told apart by the
procedure. Documents, and messages that tell no order, belong to the report that they repeat or whose procedure they
name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from samsyn.model.texts import ReportStatus, ReportVersion
from samsyn.reports.renditions import say_the_same

_ELSEWHERE = " "
"""Part of what belongs to none of the orders; no order number is a blank."""


def with_parts(versions: Iterable[ReportVersion]) -> list[ReportVersion]:
    """The versions in the same order, each with the part of its accession number that it belongs to.

    Of several parts the one that was filed first has no name, so that a report keeps its own when another one comes.
    """
    given = list(versions)
    groups: dict[tuple[str, str], list[ReportVersion]] = {}
    for version in given:
        if version.accession:
            groups.setdefault((version.provider, version.accession), []).append(version)
    names: dict[int, str] = {}
    for group in map(_told_apart, groups.values()):
        if len({each.order_number for each in group} - {""}) > 1:
            names |= _named(_parted(group))
    return [
        replace(each, part=names[each.version_key]) if each.version_key in names else each for each in given
    ]


def _told_apart(group: list[ReportVersion]) -> list[ReportVersion]:
    """The versions, with the procedure in the order number where a source gives all orders of a message the same: each
    of its texts would hide the one before."""
    sent: dict[tuple[int, str], list[ReportVersion]] = {}
    for version in group if len(group) > 1 else ():
        if version.message_key:
            sent.setdefault((version.message_key, version.order_number), []).append(version)
    shared = {
        number
        for (_, number), together in sent.items()
        if len({each.text for each in together}) > 1
        and _are_of_different_procedures(together)
        and not _is_taken_back_as_one([each for each in group if each.order_number == number])
    }
    if not shared:
        return group
    return [
        replace(each, order_number=" ".join(filter(None, (each.order_number, *_procedures([each])))))
        if each.message_key and each.order_number in shared
        else each
        for each in group
    ]


def _is_taken_back_as_one(versions: Sequence[ReportVersion]) -> bool:
    """Whether the last word is an annulment that names no procedure: it takes back all that the number stands for."""
    last = max(versions, key=lambda each: (each.told, each.status is ReportStatus.ANNULLED))
    return last.status is ReportStatus.ANNULLED and not _procedures([last])


def _are_of_different_procedures(versions: Sequence[ReportVersion]) -> bool:
    return all(_procedures([each]) for each in versions) and len(_procedures(versions)) > 1


def _parted(group: Sequence[ReportVersion]) -> dict[str, list[ReportVersion]]:
    """The parts, each by the order number under which it was filed first. Which versions are in one part does not
    depend on when they came."""
    orders: dict[str, list[ReportVersion]] = {}
    units: dict[object, list[ReportVersion]] = {}
    for version in group:
        if version.order_number:
            orders.setdefault(version.order_number, []).append(version)
        else:
            units.setdefault(version.filler_id or version.version_key, []).append(version)
    parts: list[list[ReportVersion]] = []
    for number in sorted(orders):
        same = next((part for part in parts if not _are_apart(part, orders[number])), None)
        if same is None:
            parts.append(list(orders[number]))
        else:
            same += orders[number]
    if len(parts) == 1:
        return {"": list(group)}
    by_name = {min(part, key=lambda each: each.version_key).order_number: part for part in parts}
    homes = [(_home(unit, by_name), unit) for unit in units.values()]
    for name, unit in homes:
        by_name.setdefault(name, []).extend(unit)
    return by_name


def _are_apart(part: Sequence[ReportVersion], other: Sequence[ReportVersion]) -> bool:
    """Whether the versions of two orders are of different reports."""
    together = [(one, two) for one in part for two in other if one.message_key == two.message_key]
    if together:
        return any(one.text != two.text for one, two in together)
    mine, others = _procedures(part), _procedures(other)
    return bool(mine and others) and mine.isdisjoint(others)


def _procedures(versions: Sequence[ReportVersion]) -> set[str]:
    return {name for each in versions if (name := " ".join(each.procedure.split()).casefold())}


def _home(unit: Sequence[ReportVersion], parts: dict[str, list[ReportVersion]]) -> str:
    """The part that versions of one document belong to: what it repeats, else whose procedure alone it names."""
    in_order = sorted(parts, key=lambda name: min(each.order_number for each in parts[name]))
    for name in in_order:
        if any(each.order_number == version.filler_id for each in parts[name] for version in unit):
            return name
    for name in in_order:
        if any(say_the_same(each.text, version.text) for each in parts[name] for version in unit):
            return name
    named = [name for name in in_order if _procedures(unit) & _procedures(parts[name])]
    return named[0] if len(named) == 1 else _ELSEWHERE


def _named(parts: dict[str, list[ReportVersion]]) -> dict[int, str]:
    first = min(parts, key=lambda name: min(each.version_key for each in parts[name]))
    return {each.version_key: "" if name == first else name for name, part in parts.items() for each in part}
