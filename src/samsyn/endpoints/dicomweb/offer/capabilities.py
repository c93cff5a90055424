"""The capabilities description (PS3.18 8.9, annex H): what can be asked for, in WADL and as JSON."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from xml.sax.saxutils import quoteattr

import orjson

from samsyn.dicom.dictionary import keyword_of
from samsyn.endpoints.dicomweb.feed import PARAMETERS as FEED_PARAMETERS
from samsyn.endpoints.dicomweb.offer.resources import RESOURCES, Resource
from samsyn.endpoints.dicomweb.pictures.options import PARAMETERS as PICTURE_PARAMETERS
from samsyn.endpoints.dicomweb.pictures.options import THUMBNAIL_PARAMETERS
from samsyn.endpoints.dicomweb.wado_uri import PARAMETERS as URI_PARAMETERS
from samsyn.endpoints.dicomweb.workitems.question import PARAMETERS as WORK_PARAMETERS
from samsyn.model.rejection import REJECTION_CODES
from samsyn.search.keys import KEYS, is_matched
from samsyn.search.query import Level

WADL: Final = "application/vnd.sun.wadl+xml"
JSON: Final = "application/json"
_WADL_NAMESPACE: Final = "http://wadl.dev.java.net/2009/02"
_ACCEPT: Final = MappingProxyType({"accept": "media types, before the Accept header"})
SEARCH_PARAMETERS: Final = MappingProxyType(
    {
        "limit": "most results of one answer",
        "offset": "results to leave out at the beginning",
        "fuzzymatching": "true: names match by the beginnings of their words in any order",
        "emptyvaluematching": 'true: the value "" finds what has no value',
        "multiplevaluematching": "read and of no effect: values parted by a backslash, UIDs and code strings by a comma"
        " too, always match as a list",
        "TimezoneOffsetFromUTC": "dates and times are asked and told at this distance from UTC; none: Swedish time",
        "includefield": "further attributes to answer, or all",
    }
)
_LEVELS: Final = MappingProxyType({"studies": Level.STUDY, "series": Level.SERIES, "instances": Level.IMAGE})


def level_of(resource: Resource) -> Level:
    """The level at which a search resource searches."""
    return _LEVELS[resource.form.rpartition("/")[2]]


def matching_keys(level: Level) -> tuple[str, ...]:
    """Keywords of the attributes that restrict a search at a level, in the order of their tags."""
    return tuple(
        keyword_of(key.tag) for key in sorted(KEYS, key=lambda key: key.tag) if is_matched(key, level)
    )


def parameters_of(resource: Resource) -> Mapping[str, str]:
    """Query parameters of an address and what each means."""
    match resource.parameters:
        case "search":
            keys = dict.fromkeys(matching_keys(level_of(resource)), "matching key")
            return {**_ACCEPT, **SEARCH_PARAMETERS, **keys}
        case "picture":
            return PICTURE_PARAMETERS
        case "thumbnail":
            return THUMBNAIL_PARAMETERS
        case "feed":
            return {**_ACCEPT, **FEED_PARAMETERS}
        case "work":
            return {**_ACCEPT, **WORK_PARAMETERS}
        case "uri":
            return URI_PARAMETERS
        case _:
            return _ACCEPT


def as_json(base: str) -> bytes:
    """Every address as JSON."""
    return orjson.dumps(
        {
            "base": base,
            "resources": [
                {
                    "path": each.path,
                    "does": each.what,
                    "methods": each.methods,
                    "responses": each.reading,
                    "requests": each.storing,
                    "parameters": dict(parameters_of(each)),
                }
                for each in RESOURCES.values()
            ],
        }
    )


def as_wadl(base: str) -> bytes:
    """Every address as a WADL application."""
    resources = "".join(_wadl_resource(each) for each in RESOURCES.values())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<application xmlns="{_WADL_NAMESPACE}"><resources base={quoteattr(base)}>{resources}</resources>'
        "</application>\n"
    ).encode()


def _wadl_resource(resource: Resource) -> str:
    names = [part[1:-1] for part in resource.path.split("/") if part.startswith("{")]
    template = "".join(f'<param name="{name}" style="template"/>' for name in names)
    query = "".join(
        f'<param name="{name}" style="query"><doc title={quoteattr(meaning)}/></param>'
        for name, meaning in parameters_of(resource).items()
    )
    answers = "".join(f"<representation mediaType={quoteattr(kind)}/>" for kind in resource.reading)
    requests = "".join(f"<representation mediaType={quoteattr(kind)}/>" for kind in resource.storing)
    methods = ""
    if resource.reading:
        methods += f'<method name="GET"><request>{query}</request><response>{answers}</response></method>'
    if resource.storing:
        results = "".join(
            f'<representation mediaType="application/dicom+{kind}"/>' for kind in ("json", "xml")
        )
        methods += f'<method name="POST"><request>{requests}</request><response>{results}</response></method>'
    if resource.is_deleted:
        reason = (
            f'<param name="reason" style="query"><doc title={quoteattr(", ".join(REJECTION_CODES))}/></param>'
        )
        methods += f'<method name="DELETE"><request>{reason}</request></method>'
    return f"<resource path={quoteattr(resource.path)}>{template}{methods}</resource>"
