"""Every address of the door with its methods and media types (PS3.18 10.1). The door answers nothing else."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

STUDY: Final = "studies"
SERIES: Final = "studies/series"
INSTANCE: Final = "studies/series/instances"
FRAMES: Final = f"{INSTANCE}/frames"

_NAMES: Final = MappingProxyType(
    {
        "studies": "{study}",
        "series": "{series}",
        "instances": "{instance}",
        "frames": "{frames}",
        "workitems": "{workitem}",
    }
)
_OBJECTS: Final = ('multipart/related; type="application/dicom"', "application/zip")
_DATA_SETS: Final = (
    "application/dicom+json",
    "application/json",
    'multipart/related; type="application/dicom+xml"',
)
_BULK: Final = ("application/octet-stream", "image/* as stored", "video/* as stored")
_PICTURES: Final = ("image/jpeg", "image/png")
_MODEL: Final = ("application/dicom+json",)
_MODELS: Final = (*_MODEL, "application/dicom+xml")
_KINDS: Final = ("dicom", "dicom+json", "dicom+xml")
_STORED: Final = tuple(
    form.format(kind)
    for form in ('multipart/related; type="application/{}"', "application/{}")
    for kind in _KINDS
)


@dataclass(frozen=True, slots=True)
class Resource:
    """One form of address."""

    form: str
    """The fixed words of the path joined by `/`, "" = the root."""
    depth: int
    """How many values stand between them."""
    what: str
    reading: tuple[str, ...]
    """Media types of GET and HEAD; none = the address is not read."""
    storing: tuple[str, ...] = ()
    """Media types of POST."""
    is_deleted: bool = False
    """Whether DELETE takes back what the address names."""
    parameters: str = ""
    """Which table of query parameters holds: search, picture, thumbnail, uri, feed, work or "" for none but accept."""

    @property
    def methods(self) -> tuple[str, ...]:
        """HTTP methods that the address takes."""
        reading = ("GET", "HEAD") if self.reading else ()
        storing = ("POST",) if self.storing else ()
        deleting = ("DELETE",) if self.is_deleted else ()
        return (*reading, *storing, *deleting, "OPTIONS")

    @property
    def path(self) -> str:
        """The path as a template."""
        words = [word for word in self.form.split("/") if word]
        path = ""
        for number, word in enumerate(words):
            path += f"/{word}"
            if number < self.depth:
                path += f"/{_NAMES[word]}"
        return (path if self.form != f"{INSTANCE}/bulkdata" else f"{path}/{{path}}") or "/"


def _search(form: str, depth: int, what: str, storing: tuple[str, ...] = ()) -> Resource:
    return Resource(form, depth, f"search for {what}", _DATA_SETS, storing, parameters="search")


def _table() -> tuple[Resource, ...]:
    single = ("application/dicom", *_OBJECTS)
    found = [
        Resource("", 0, "this description", ("application/vnd.sun.wadl+xml", "application/json")),
        Resource(
            "wado", 0, "one instance by parameters (WADO-URI)", single[:1] + _PICTURES, parameters="uri"
        ),
        Resource("changes", 0, "what happened, in order", ("application/json",), parameters="feed"),
        Resource("workitems", 0, "work: search, or ask for some", _DATA_SETS, _MODELS, parameters="work"),
        Resource("workitems", 1, "one workitem", _DATA_SETS),
        Resource("workitems/cancelrequest", 1, "ends the work on a workitem", (), _MODEL),
        _search("studies", 0, "studies", _STORED),
        _search("series", 0, "series"),
        _search("instances", 0, "instances"),
        _search("studies/series", 1, "series of a study"),
        _search("studies/instances", 1, "instances of a study"),
        _search(INSTANCE, 2, "instances of a series"),
        Resource(STUDY, 1, "all instances of a study", _OBJECTS, _STORED, is_deleted=True),
        Resource("studies/corrections", 1, "corrects attributes of a study", (), ("application/dicom+json",)),
        Resource(SERIES, 2, "all instances of a series", _OBJECTS, is_deleted=True),
        Resource(INSTANCE, 3, "one instance", single, is_deleted=True),
        Resource(
            FRAMES,
            4,
            "frames",
            ("multipart/related", "application/octet-stream", "image/* as stored", "video/* as stored"),
        ),
        Resource(
            f"{INSTANCE}/bulkdata",
            3,
            "one bulk value, as metadata address it; without a path all of them, in multipart",
            (*_BULK, "application/pdf"),
        ),
    ]
    roots = (
        (STUDY, 1, "a study"),
        (SERIES, 2, "a series"),
        (INSTANCE, 3, "an instance"),
        (FRAMES, 4, "a frame"),
    )
    for form, depth, name in roots:
        if form != FRAMES:
            found.append(Resource(f"{form}/metadata", depth, f"metadata of {name}", _DATA_SETS))
            if form != INSTANCE:
                found.append(
                    Resource(f"{form}/bulkdata", depth, f"all bulk values of {name}, in multipart", _BULK)
                )
            found.append(Resource(f"{form}/pixeldata", depth, f"pixel data of {name}, in multipart", _BULK))
        shown: tuple[str, ...] = (*_PICTURES, "image/gif")
        if form != FRAMES:
            shown = (*shown, "application/pdf", "video/* as stored", "text/html", "text/plain", "text/xml")
        found.append(Resource(f"{form}/rendered", depth, f"a picture of {name}", shown, parameters="picture"))
        found.append(
            Resource(
                f"{form}/thumbnail", depth, f"a small picture of {name}", _PICTURES, parameters="thumbnail"
            )
        )
    return tuple(found)


RESOURCES: Final = MappingProxyType({(each.form, each.depth): each for each in _table()})
"""(form, depth) -> resource."""
