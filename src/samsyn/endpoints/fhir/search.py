"""Searching among the resources of one patient: parameters, includes, order, pages, summaries (R4 3.1.1). Pure."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from samsyn import limits
from samsyn.clock import STOCKHOLM
from samsyn.endpoints.fhir.common import Resource
from samsyn.errors import BadInput, LimitExceeded


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter: its type as R4 names it, and where its values stand."""

    type: str
    paths: tuple[str, ...]
    system: str = ""
    """Of a token: the code system of plain codes, which their definition binds them to (R4 3.1.1.5.10)."""


def _p(kind: str, *paths: str) -> Parameter:
    return Parameter(kind, paths)


def _code(system: str, *paths: str) -> Parameter:
    return Parameter("token", paths, system)


_FHIR: Final = "http://hl7.org/fhir"
_SUBJECT: Final = MappingProxyType(
    {"patient": _p("reference", "subject"), "subject": _p("reference", "subject")}
)
_ID: Final = MappingProxyType({"_id": _p("token", "id")})
"""What every kind can be searched by."""
_DATED: Final = MappingProxyType({**_ID, "_lastUpdated": _p("date", "meta.lastUpdated")})
_TELLS_WHEN: Final = frozenset({"DiagnosticReport", "Provenance", "Subscription"})
"""Kinds whose resources tell when they last changed: asked for by it, the others would seem to be none."""
PARAMETERS: Final[Mapping[str, Mapping[str, Parameter]]] = MappingProxyType(
    {
        "Patient": {"identifier": _p("token", "identifier")},
        "ServiceRequest": {
            **_SUBJECT,
            "identifier": _p("token", "identifier"),
            "status": _code(f"{_FHIR}/request-status", "status"),
            "intent": _code(f"{_FHIR}/request-intent", "intent"),
            "priority": _code(f"{_FHIR}/request-priority", "priority"),
            "authored": _p("date", "authoredOn"),
            "requester": _p("reference", "requester"),
            "code-text": _p("string", "code.text"),
        },
        "ImagingStudy": {
            **_SUBJECT,
            "identifier": _p("token", "identifier"),
            "status": _code(f"{_FHIR}/imagingstudy-status", "status"),
            "modality": _p("token", "modality", "series.modality"),
            "bodysite": _p("string", "series.bodySite.display"),
            "started": _p("date", "started"),
            "basedon": _p("reference", "basedOn"),
            "endpoint": _p("reference", "endpoint"),
            "series": _p("token", "series.uid"),
        },
        "DiagnosticReport": {
            **_SUBJECT,
            "identifier": _p("token", "identifier"),
            "status": _code(f"{_FHIR}/diagnostic-report-status", "status"),
            "category": _p("token", "category"),
            "code": _p("token", "code"),
            "date": _p("date", "effectiveDateTime"),
            "issued": _p("date", "issued"),
            "based-on": _p("reference", "basedOn"),
            "performer": _p("reference", "performer"),
            "results-interpreter": _p("reference", "resultsInterpreter"),
            "imaging-study": _p("reference", "imagingStudy"),
            "result": _p("reference", "result"),
        },
        "Observation": {
            **_SUBJECT,
            "identifier": _p("token", "identifier"),
            "status": _code(f"{_FHIR}/observation-status", "status"),
            "category": _p("token", "category"),
            "code": _p("token", "code"),
            "component-code": _p("token", "component.code"),
            "combo-code": _p("token", "code", "component.code"),
            "value-quantity": _p("quantity", "valueQuantity"),
            "component-value-quantity": _p("quantity", "component.valueQuantity"),
            "combo-value-quantity": _p("quantity", "valueQuantity", "component.valueQuantity"),
            "method": _p("token", "method"),
            "date": _p("date", "effectiveDateTime"),
            "based-on": _p("reference", "basedOn"),
            "derived-from": _p("reference", "derivedFrom"),
            "performer": _p("reference", "performer"),
        },
        "DocumentReference": {
            **_SUBJECT,
            "identifier": _p("token", "masterIdentifier", "identifier"),
            "status": _code(f"{_FHIR}/document-reference-status", "status"),
            "doc-status": _code(f"{_FHIR}/composition-status", "docStatus"),
            "type": _p("token", "type"),
            "category": _p("token", "category"),
            "date": _p("date", "date"),
            "period": _p("date", "context.period"),
            "event": _p("token", "context.event"),
            "modality": _p("token", "context.event"),
            "format": _p("token", "content.format"),
            "contenttype": _code("urn:ietf:bcp:13", "content.attachment.contentType"),
            "author": _p("reference", "author"),
            "custodian": _p("reference", "custodian"),
            "related-identifier": _p("token", "context.related.identifier"),
            "relatesto": _p("reference", "relatesTo.target"),
        },
        "PractitionerRole": {
            "patient": _p("reference", "subject"),
            "organization": _p("reference", "organization"),
        },
        "Provenance": {
            "patient": _p("reference", "subject"),
            "target": _p("reference", "target"),
            "recorded": _p("date", "recorded"),
        },
        "Consent": {
            "patient": _p("reference", "patient"),
            "status": _code(f"{_FHIR}/consent-state-codes", "status"),
            "scope": _p("token", "scope"),
            "category": _p("token", "category"),
            "date": _p("date", "dateTime"),
            "period": _p("date", "provision.period"),
            "actor": _p("reference", "provision.actor.reference"),
            "organization": _p("reference", "organization"),
        },
        "Organization": {
            "identifier": _p("token", "identifier"),
            "name": _p("string", "name"),
            "partof": _p("reference", "partOf"),
            "type": _p("token", "type"),
        },
        "Subscription": {
            "status": _code(f"{_FHIR}/subscription-status", "status"),
            "criteria": _p("string", "criteria"),
            "type": _code(f"{_FHIR}/subscription-channel-type", "channel.type"),
            "url": _p("string", "channel.endpoint"),
        },
        "Endpoint": {"connection-type": _p("token", "connectionType")},
    }
)
"""What each kind can be searched by. `patient` chooses whose resources are looked at; it is no filter."""
CHOOSES_PATIENT: Final = frozenset({"patient", "subject"})
INCLUDES_NOTHING: Final = frozenset({"Patient", "Organization", "Endpoint", "Subscription"})
"""Kinds whose search brings nothing else along: what belongs to a patient is searched by itself."""
_RESULT: Final = frozenset(
    {
        "_count",
        "_page",
        "_sort",
        "_include",
        "_revinclude",
        "_summary",
        "_elements",
        "_total",
        "_format",
        "_pretty",
    }
)
_SUMMARY: Final = MappingProxyType(
    {
        "Patient": "identifier active name gender birthDate",
        "ServiceRequest": "identifier status intent category priority code subject authoredOn requester reasonCode",
        "ImagingStudy": "identifier status modality subject started basedOn endpoint numberOfSeries"
        " numberOfInstances reasonCode description series",
        "DiagnosticReport": "identifier status category code subject effectiveDateTime issued performer"
        " resultsInterpreter result",
        "Observation": "identifier basedOn status category code subject effectiveDateTime performer valueQuantity"
        " derivedFrom component",
    }
)
_MANDATORY: Final = MappingProxyType(
    {
        "ServiceRequest": "status intent subject",
        "ImagingStudy": "status subject",
        "DiagnosticReport": "status code",
        "Observation": "status code",
        "DocumentReference": "status content",
        "Provenance": "target recorded agent",
        "Consent": "status scope category",
        "Endpoint": "status connectionType payloadType address",
    }
)
_SUBSETTED: Final = MappingProxyType(
    {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
)
_ALWAYS: Final = frozenset({"resourceType", "id", "meta"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One search, understood. BadInput has been raised for what this door does not know."""

    kind: str
    filters: tuple[tuple[str, str, str], ...]
    """(name, modifier, value): every one must hold; a comma in the value is "or"."""
    count: int
    page: str
    """What the next link of the page before holds (`paging`); "" = the first page."""
    sort: tuple[tuple[str, bool], ...]
    """(parameter, descending)."""
    include: tuple[tuple[str, str], ...]
    revinclude: tuple[tuple[str, str], ...]
    summary: str
    elements: frozenset[str]
    given: tuple[tuple[str, str], ...]


def known_for(kind: str) -> Mapping[str, Parameter]:
    """All that a kind can be searched by, with what does not depend on the kind."""
    return {**(_DATED if kind in _TELLS_WHEN else _ID), **PARAMETERS[kind]}


def understand(kind: str, given: Iterable[tuple[str, str]]) -> Asked:
    """The search that the parameters ask for. An unknown one is refused, since ignoring it would answer another
    question. LimitExceeded: more than limits.MAX_FHIR_PARAMETERS."""
    pairs = tuple(given)
    if len(pairs) > limits.MAX_FHIR_PARAMETERS:
        raise LimitExceeded("MAX_FHIR_PARAMETERS")
    known = known_for(kind)
    filters: list[tuple[str, str, str]] = []
    result: dict[str, list[str]] = {}
    for key, value in pairs:
        name, _, modifier = key.partition(":")
        if name in _RESULT and not modifier:
            result.setdefault(name, []).append(value)
        elif name in known and modifier in _MODIFIERS[known[name].type] and value.strip():
            filters.append((name, modifier, value))
        else:
            raise BadInput(f"{kind} is not searched by {_safe(key)}")
    if kind in INCLUDES_NOTHING and not result.keys().isdisjoint(("_include", "_revinclude")):
        raise BadInput(f"nothing comes along with {kind}: search it by itself")
    return Asked(
        kind,
        tuple(filters),
        min(_number(result, "_count", limits.FHIR_PAGE), limits.MAX_FHIR_PAGE),
        result.get("_page", ("",))[-1],
        tuple(_sort(known, each) for value in result.get("_sort", ()) for each in value.split(",")),
        tuple(_include(each) for each in result.get("_include", ())),
        tuple(_include(each) for each in result.get("_revinclude", ())),
        _one_of(result, "_summary", ("false", "true", "text", "data", "count")),
        frozenset(name for value in result.get("_elements", ()) for name in value.split(",") if name),
        pairs,
    )


def taken_only(given: Iterable[tuple[str, str]], names: Sequence[str], what: str) -> dict[str, str]:
    """The parameters of something that is no search, by name; BadInput for one that it does not take, since an answer
    without it would be wider than what was asked for. Such answers have no pages, so `_count` changes nothing."""
    found: dict[str, str] = {}
    for name, value in given:
        if name in ("_format", "_pretty", "_count"):
            continue
        if name not in names or name in found or not value.strip():
            raise BadInput(f"{what} is not asked with {_safe(name)}, or not so")
        found[name] = value
    return found


def since(value: str) -> datetime:
    """The first moment that a `_since` means; BadInput for no instant or date."""
    return _interval(value)[0]


_MODIFIERS: Final = MappingProxyType(
    {
        "token": frozenset({"", "not"}),
        "reference": frozenset({""}),
        "date": frozenset({""}),
        "quantity": frozenset({""}),
        "string": frozenset({"", "exact", "contains"}),
    }
)


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.:-]", "?", text)[:40]


def _number(result: Mapping[str, Sequence[str]], name: str, otherwise: int) -> int:
    text = result.get(name, (str(otherwise),))[-1]
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise BadInput(f"{name} is a whole number")
    return int(text)


def _one_of(result: Mapping[str, Sequence[str]], name: str, values: Sequence[str]) -> str:
    value = result.get(name, (values[0],))[-1]
    if value not in values:
        raise BadInput(f"{name} is one of {', '.join(values)}")
    return value


def _sort(known: Mapping[str, Parameter], text: str) -> tuple[str, bool]:
    name = text.removeprefix("-")
    if name not in known or known[name].type == "reference":
        raise BadInput(f"nothing is sorted by {_safe(name)}")
    return name, text.startswith("-")


def _include(text: str) -> tuple[str, str]:
    kind, _, name = text.partition(":")
    name = name.partition(":")[0]
    parameter = PARAMETERS.get(kind, {}).get(name)
    if parameter is None or parameter.type != "reference":
        raise BadInput(f"nothing is included by {_safe(text)}")
    return kind, name


def matches(asked: Asked, resource: Resource) -> bool:
    """Whether every filter holds for the resource; which patient it is of has been decided before."""
    known = known_for(asked.kind)
    return all(
        _holds(known[name], modifier, value, resource)
        for name, modifier, value in asked.filters
        if name not in CHOOSES_PATIENT
    )


def _holds(parameter: Parameter, modifier: str, value: str, resource: Resource) -> bool:
    stand = [each for path in parameter.paths for each in _at(resource, path.split("."))]
    if parameter.system:
        stand = [{"system": parameter.system, "code": each} for each in stand]
    test = _TESTS[parameter.type]
    found = any(test(each, part, modifier) for part in _alternatives(value) for each in stand)
    return not found if modifier == "not" else found


def _alternatives(value: str) -> list[str]:
    return [part.replace("\\,", ",") for part in re.split(r"(?<!\\),", value)]


def _at(value: Any, path: Sequence[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _at(each, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _at(value[path[0]], path[1:])


def _token(value: Any, asked: str, modifier: str) -> bool:
    system, bar, code = asked.rpartition("|")
    for its_system, its_code in _tokens(value):
        if its_code is None or (code and code != its_code):
            continue
        if not bar or system == its_system:
            return bool(code) or bool(bar)
    return False


def _tokens(value: Any) -> Iterator[tuple[str, str | None]]:
    """(system, code) pairs; the system is "" where there is none."""
    if isinstance(value, Mapping):
        if "coding" in value:
            for coding in value["coding"]:
                yield coding.get("system", ""), coding.get("code")
        elif "code" in value:
            yield value.get("system", ""), value["code"]
        elif "value" in value:
            yield value.get("system", ""), value["value"]
    else:
        yield "", str(value)


def _reference(value: Any, asked: str, modifier: str) -> bool:
    stands = str(value.get("reference", "")) if isinstance(value, Mapping) else ""
    plain = stands.partition("/_history/")[0]
    wanted = "/".join(asked.split("/")[-2:]) if "/" in asked else asked
    return bool(stands) and (plain == wanted or plain.rpartition("/")[2] == wanted)


def _string(value: Any, asked: str, modifier: str) -> bool:
    text, wanted = str(value), asked
    if modifier == "exact":
        return text == wanted
    text, wanted = text.casefold(), wanted.casefold()
    return wanted in text if modifier == "contains" else text.startswith(wanted)


_PREFIX: Final = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb)?([0-9].*)", re.DOTALL)


_CLOCK: Final = re.compile(r"T[0-9]{2}:[0-9]{2}(:[0-9]{2}(?:\.([0-9]+))?)?")


def _date(value: Any, asked: str, modifier: str) -> bool:
    found = _PREFIX.fullmatch(asked)
    if found is None:
        raise BadInput("a date is YYYY-MM-DD, with eq, ne, gt, lt, ge, le, sa or eb before it")
    prefix, text = found.group(1) or "eq", found.group(2)
    low, high = _interval(text)
    its_low, its_high = _interval_of(value)
    inside = low <= its_low and its_high <= high
    return {
        "eq": inside,
        "ne": not inside,
        "gt": its_high > high,
        "lt": its_low < low,
        "ge": its_high >= high or inside,
        "le": its_low <= low or inside,
        "sa": its_low >= high,
        "eb": its_high <= low,
    }[prefix]


def _interval_of(value: Any) -> tuple[datetime, datetime]:
    if isinstance(value, Mapping):
        start, end = value.get("start"), value.get("end")
        return (
            _interval(start)[0] if start else datetime.min.replace(tzinfo=UTC),
            _interval(end)[1] if end else datetime.max.replace(tzinfo=UTC),
        )
    return _interval(str(value))


def _interval(text: str) -> tuple[datetime, datetime]:
    """The first moment, and the first one after, that a date of this precision means; BadInput for no date."""
    try:
        if re.fullmatch(r"[0-9]{4}", text):
            return _midnight(date(int(text), 1, 1)), _midnight(date(int(text) + 1, 1, 1))
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}", text):
            year, month = int(text[:4]), int(text[5:])
            after = date(year + month // 12, month % 12 + 1, 1)
            return _midnight(date(year, month, 1)), _midnight(after)
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            first = date.fromisoformat(text)
            return _midnight(first), _midnight(first + timedelta(days=1))
        # A plus sign that was not escaped in an address arrives as a space.
        exact = datetime.fromisoformat(text.replace(" ", "+"))
        exact = (exact if exact.tzinfo else exact.replace(tzinfo=STOCKHOLM)).astimezone(UTC)
        return exact, exact + _width(text)
    except (ValueError, OverflowError):
        raise BadInput("a date is YYYY, YYYY-MM, YYYY-MM-DD or a time with zone") from None


def _width(text: str) -> timedelta:
    """How long what a time tells is: a minute, a second, or less where a fraction is told (R4 2.24.0.1)."""
    clock = _CLOCK.search(text)
    if clock is None or clock.group(1) is None:
        return timedelta(minutes=1)
    return timedelta(microseconds=10 ** max(0, 6 - len(clock.group(2) or "")))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=STOCKHOLM)


_NUMBER: Final = re.compile(r"(eq|ne|gt|lt|ge|le)?([+-]?[0-9]+(?:\.([0-9]+))?(?:e([+-]?[0-9]{1,2}))?)")


def _quantity(value: Any, asked: str, modifier: str) -> bool:
    """R4 3.1.1.5.7: number, or number|system|code; an equal number is one within half of its last digit."""
    text, bar, unit = asked.partition("|")
    found = _NUMBER.fullmatch(text)
    if found is None or (bar and "|" not in unit):
        raise BadInput(
            "a quantity is a number or number|system|code, with eq, ne, gt, lt, ge or le before it"
        )
    if not isinstance(value, Mapping) or "value" not in value:
        return False
    system, _, code = unit.partition("|")
    if system and system != value.get("system"):
        return False
    if code and code not in (value.get("code"), *(() if system else (value.get("unit"),))):
        return False
    wanted, its = float(found.group(2)), float(value["value"])
    half = 0.5 * 10.0 ** (int(found.group(4) or "0") - len(found.group(3) or ""))
    equal = wanted - half <= its < wanted + half
    return {
        "eq": equal,
        "ne": not equal,
        "gt": its > wanted,
        "lt": its < wanted,
        "ge": its >= wanted,
        "le": its <= wanted,
    }[found.group(1) or "eq"]


_TESTS: Final[Mapping[str, Callable[[Any, str, str], bool]]] = MappingProxyType(
    {"token": _token, "reference": _reference, "string": _string, "date": _date, "quantity": _quantity}
)


def ordered(asked: Asked, resources: Sequence[Resource]) -> list[Resource]:
    """The resources by _sort; those that lack the value come last. Else as they came."""
    found = list(resources)
    known = known_for(asked.kind)
    for name, descending in reversed(asked.sort):
        keyed = [(_first(known[name], each), each) for each in found]
        present = sorted((pair for pair in keyed if pair[0]), key=lambda pair: pair[0], reverse=descending)
        found = [each for _, each in present] + [each for value, each in keyed if not value]
    return found


def sort_values(asked: Asked, resource: Resource) -> tuple[str, ...]:
    """What `ordered` sorts the resource by, "" for what it lacks."""
    known = known_for(asked.kind)
    return tuple(_first(known[name], resource) for name, _ in asked.sort)


def _first(parameter: Parameter, resource: Resource) -> str:
    told = next((v for path in parameter.paths for v in _at(resource, path.split("."))), "")
    return _beginning(told) if told and parameter.type == "date" else str(told)


def _beginning(value: Any) -> str:
    """The first moment that a date or period can mean, as text that is in the order of time whatever its zone."""
    try:
        return _interval_of(value)[0].astimezone(UTC).isoformat(timespec="microseconds")
    except (BadInput, OverflowError):
        return str(value)


def references_of(resource: Resource, name: str) -> set[str]:
    """What a resource refers to under a search parameter, as Kind/id."""
    parameter = PARAMETERS[resource["resourceType"]][name]
    return {
        str(each.get("reference", "")).partition("/_history/")[0]
        for path in parameter.paths
        for each in _at(resource, path.split("."))
        if isinstance(each, Mapping)
    }


def shortened(asked: Asked, resource: Resource) -> Resource:
    """The resource as _summary and _elements want it, marked as a part (SUBSETTED) when something is left out."""
    kind = resource["resourceType"]
    mandatory = set(_MANDATORY.get(kind, "").split())
    if asked.elements:
        kept = _ALWAYS | mandatory | asked.elements
    elif asked.summary == "text":
        kept = _ALWAYS | mandatory | {"text"}
    elif asked.summary == "true" and kind in _SUMMARY:
        kept = _ALWAYS | mandatory | set(_SUMMARY[kind].split())
    else:
        return resource
    part = {key: value for key, value in resource.items() if key in kept}
    meta = dict(part.get("meta", {}))
    meta["tag"] = [*meta.get("tag", ()), dict(_SUBSETTED)]
    return {**part, "meta": meta}


def page_links(base: str, asked: Asked, following: str, *, tells_query: bool) -> list[Resource]:
    """self, and next where there is such a page (`following`: its token). What was asked may be a person's number:
    then (`tells_query` False) the address is given without it."""
    path = f"{base}/{asked.kind}"
    if not tells_query:
        return [{"relation": "self", "url": path}]
    kept = [(key, value) for key, value in asked.given if key not in ("_page", "_count")]

    def address(page: str) -> str:
        extra = [("_count", str(asked.count))] + ([("_page", page)] if page else [])
        return f"{path}?{urlencode([*kept, *extra])}"

    links = [{"relation": "self", "url": address(asked.page)}]
    if following:
        links.append({"relation": "next", "url": address(following)})
    return links
