"""Writes docs/conformance/dicomweb.md from the tables of the DICOMweb door: `python -m tools.dicomweb_statement`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from samsyn import limits
from samsyn.dicom.dictionary import keyword_of
from samsyn.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from samsyn.endpoints.dicomweb.errors_table import FAILURE_REASON, STATUS
from samsyn.endpoints.dicomweb.feed import PARAMETERS as FEED_PARAMETERS
from samsyn.endpoints.dicomweb.frames import offers_of
from samsyn.endpoints.dicomweb.offer.capabilities import SEARCH_PARAMETERS
from samsyn.endpoints.dicomweb.offer.resources import RESOURCES
from samsyn.endpoints.dicomweb.pictures.options import PARAMETERS as PICTURE_PARAMETERS
from samsyn.endpoints.dicomweb.searching.query import DEFAULTS
from samsyn.endpoints.dicomweb.storing.assembly import SYNTAX_OF_KIND
from samsyn.endpoints.dicomweb.wado_uri import PARAMETERS as URI_PARAMETERS
from samsyn.endpoints.dicomweb.workitems.question import PARAMETERS as WORK_PARAMETERS
from samsyn.endpoints.dicomweb.workitems.refused import NOT_OFFERED
from samsyn.model.amendment import AMENDABLE
from samsyn.model.rejection import REJECTION_CODES
from samsyn.search.keys import ITEM_KEYS, KEYS, is_matched
from samsyn.search.query import Level

TARGET: Final = Path(__file__).resolve().parent.parent / "docs" / "conformance" / "dicomweb.md"
_LEVELS: Final = (Level.STUDY, Level.SERIES, Level.IMAGE)

_INTRODUCTION: Final = """\
# DICOMweb conformance

Made from the tables that the code uses (`python -m tools.dicomweb_statement`); a test fails when it is out of date.
The standard is DICOM PS3.18. The root of the service is `/dicomweb`.

**Who may.** Systems show a bearer token that settings name; people come with their session or a token. Storing is for
systems. Every read stands under the law's View: what is hidden is answered exactly like what does not exist (404, or no
match). Each opening is in the audit journal before the first byte, also when the answer is 304.

**Keeping.** Answers with personal data carry an entity tag that is bound to the reader and his session, and
`private, max-age=0, must-revalidate`: what a browser keeps is asked for again before each use, and that question is
decided like the first one. Everything else is `no-store`.

**Negotiation.** Of several media ranges the narrowest that a form lies in tells how much it is liked; malformed ones
are ignored. What the `accept` parameter names goes before the Accept header; without both anything is acceptable.
Objects whose transfer syntax is not named, and files in a ZIP file, come as they were received. If-None-Match,
If-Match, If-Range and Range are heeded wherever there is an entity tag. A query parameter that is not known and begins
with a small letter or an underscore is ignored, with a Warning.

**Byte ranges** are given of every answer that is a single part: instances, frames, bulk data, videos, documents.

**Reports.** A structured report or key object selection that is asked for as rendered is written out whole, as
text/html (the default) or text/plain in UTF-8: context, meanings of codes, numbers with units, what was inferred from
what. Pictures and coordinates are named. The page holds no script and no link, and asks a browser to let none run.
Encapsulated PDF and CDA documents are sent as they are, as application/pdf and text/xml. Reports of more than
{sr_items} content items or {sr_characters} characters are refused (413).

**Slow readers and senders.** Of what waits for him a reader takes at least {least} KiB in {stall} s, and so much of the
body that he announced a sender sends, or the request (HTTP/2) or the connection is ended. Who does that much may take
as long as he likes. What is on its way over a slow net is no fault of his.

**Compression.** Metadata of one series as JSON come in gzip (`Content-Encoding`) where `Accept-Encoding` takes it; they
are kept ready in that form. Nothing else is compressed on its way, since pixel data are as small as they get.

**Taking back.** DELETE never removes anything: it writes a rejection note (IHE RAD IOCM) that hides what the address
names, as notes do that come by C-STORE or STOW-RS. `reason` is one of {codes}; without it 113001. Only systems with
`steward` in their settings and people with the role steward and a token may, and only in studies of their own
provider. For them the whole service stands once more under `/dicomweb/rejected`, with what is hidden elsewhere. A note
that names an earlier note takes that one back.

**Correcting.** `POST /studies/{{study}}/corrections` with one application/dicom+json data set corrects {corrected} of a
study, by the same stewards; `reason` goes into the audit journal. What was sent stays as it is; searches, metadata and
objects that leave have the right value, and the old one in the Original Attributes Sequence. Searches answer the
patient's own attributes from the patient register.

**Work (UPS-RS).** The work that Samsyn schedules is sending: a workitem names one study, or one series of it, in the
Input Information Sequence and an archive of the asker's own provider in the Output Destination Sequence (DICOM Storage
Sequence, Destination AE). Samsyn does the work itself, so nobody else changes a workitem's state; each asker finds,
reads and cancels his own. Work that ended with a part refused is COMPLETED and says so in its progress; work that was
given up is CANCELED. Samsyn is an origin server of the SOP classes UPS Push and UPS Query; transactions of UPS Pull,
Watch and Event are answered as the table below tells, with a Warning 299 that says why.

**Not offered:** clips of multi-frame pictures but as image/gif, or as the video that was stored (406), annotations and
colour profiles in pictures (left out with a Warning), presentation states (400 by WADO-URI, 406 as rendered),
structured reports as text/xml, text/rtf or application/pdf (406), de-identification on the way out (400), compression
on the way out, request bodies with a Content-Encoding (415).
"""

_PICTURES: Final = """
Grey goes through the modality LUT or rescale (not the LUT to X-ray intensity of XA and RF), then the window that was
asked for, else the VOI LUT, else the first window of the frame, the shared groups or the data set. Where there is none,
eight bits are shown as they are, and others from the dark to the bright percentile of the pixels in the middle of the
series (slices) or of the object. MONOCHROME1 is inverted, unless Presentation LUT Shape says otherwise. Pixel padding
is black, pixels become square.

Overlay planes (60xx; also the retired ones in free bits of the pixels) are drawn on every picture, thumbnails and clips
among them, whatever `annotation` asks for: a mark of the side may be nowhere else. They are white, what is brighter
than dark grey beside them is darkened, and a region of interest (type R) is shown by its edge. A plane that tells of no
frames lies on all of them. Where a plane's data are too short or its size is not told, what is there is drawn and the
picture says GRAFIK SAKNAS, GRAPHICS MISSING. Planes of more than MAX_OVERLAY_PIXELS for one frame are refused with the
picture. Curves (50xx, retired) are not drawn; of those that lie on the picture (POLY, ROI) it says the same. Display
shutters are not applied, what they would cover is shown; frames are shown without subtracting masks.

Float and Double Float Pixel Data are shown in the same way, in their own precision; what is no number (NaN) is black,
and a linear window narrower than 1, which whole numbers can not have, is taken as linear exact.

Refused instead of guessed at (406): YBR_ICT and YBR_RCT outside JPEG 2000, colours with shared samples in codecs that
keep every sample, JPEG 2000 with subsampled components (PS3.5 8.2.4 knows none).
"""

_FRAMES: Final = """\
Every one is stored and sent back byte for byte, or uncompressed to who accepts only that. Frames that are decoded are
as the metadata tell: every bit of the cells, by plane where they say so, YBR_FULL as that; other YBR is RGB where the
codec makes it that. Each frame of one bit a pixel begins with its first bit, eight pixels to a byte. Big endian pixels
of VR OW are turned round by words of 16 bits (PS3.5 7.3), also in cells of 32. Frames can be sent as:

"""

_FEED: Final = """
For systems. A page is `{changes: [...], cursor, last}`, a change `{cursor, kind, time, study, series, instances, code,
sopInstances, attributes, into}`: `stored` (instances of a series that came within ten seconds), `rejected` and
`restored` (with the instances), `corrected` (with the attributes) and `moved` (given to another patient, or back; with
the study into which series were split off). Changes come in their order, and none ever changes once it
was told, which is ten to fifteen seconds after instances came. `cursor` of the page is where to go on; it passes over
what this reader may not see. Who gets new rights reads from the beginning, since what was hidden is not told
afterwards; so does who is answered 409, which says that the cursor was never told (the record was restored from an
older copy).
"""


def statement() -> str:
    """The whole page."""
    parts = [
        _INTRODUCTION.format(
            codes=", ".join(f"{code} ({what})" for code, what in REJECTION_CODES.items()),
            corrected=", ".join(keyword_of(tag) for tag in AMENDABLE),
            sr_items=limits.MAX_SR_ITEMS,
            sr_characters=limits.MAX_REPORT_CHARACTERS,
            least=limits.HTTP_LEAST_TAKEN_BYTES // limits.KIB,
            stall=int(limits.HTTP_STALL_S),
        ),
        "## Addresses\n\n" + _table(("Address", "Methods", "What", "Sent as", "Taken as"), _addresses()),
        "## Searching\n\n" + _table(("Parameter", "Meaning"), SEARCH_PARAMETERS.items()),
        _paging(),
        "Attributes, by level: M = matched, R = answered without being asked for, (R) = answered when includefield"
        " names it or `all`.\n\n"
        + _table(("Attribute", "Keyword", *map(str.capitalize, _LEVELS), "Matching"), _keys()),
        "Keys inside sequences, written as paths:\n\n" + _table(("Path", "Levels"), _paths()),
        "## Workitems\n\n" + _table(("Parameter", "Meaning"), WORK_PARAMETERS.items()),
        "A workitem has the UID that stands behind `?` or in the data set, else one is given; what the workitem does"
        " not keep of the data set is told by a Warning. Workitems come newest first; If-None-Match is heeded.\n\n"
        + _table(("Not offered", "Method", "Address", "Answer"), _not_offered()),
        "## Pictures\n\n" + _table(("Parameter", "Meaning"), PICTURE_PARAMETERS.items()) + _PICTURES,
        "## Change feed\n\n" + _table(("Parameter", "Meaning"), FEED_PARAMETERS.items()) + _FEED,
        "## WADO-URI\n\n" + _table(("Parameter", "Meaning"), URI_PARAMETERS.items()),
        "## Transfer syntaxes\n\n" + _FRAMES + _table(("Transfer syntax", "UID", "Frames"), _syntaxes()),
        "Bulk data that are stored apart from their metadata and name no transfer syntax are taken as:\n\n"
        + _table(
            ("Media type", "Transfer syntax"),
            (*SYNTAX_OF_KIND.items(), ("image/jpeg", "by its first frame marker")),
        ),
        "## Refusals\n\n"
        + _table(("Reason", "Status", "Failure Reason of one instance (STOW-RS)"), _refusals())
        + "\nAn address that is too long is 414, and a state that If-Match does not name 412. Parts of a STOW-RS"
        " request that are not binary (Content-Transfer-Encoding, Content-Encoding) are refused as not supported.\n",
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _not_offered() -> Iterator[tuple[str, ...]]:
    for (_, _, method), each in NOT_OFFERED.items():
        yield each.name, method, f"`{each.path}`", each.answer


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"

    heads = tuple(heads)
    return line(heads) + line("---" for _ in heads) + "".join(line(row) for row in rows)


def _addresses() -> Iterator[tuple[str, ...]]:
    for each in RESOURCES.values():
        sent, taken = (", ".join(f"`{kind}`" for kind in kinds) for kinds in (each.reading, each.storing))
        yield f"`{each.path}`", ", ".join(each.methods), each.what, sent, taken


def _paging() -> str:
    return (
        f"One answer holds at most {limits.MAX_SEARCH_ROWS} matches; a Warning 299 tells when there are more, also"
        " when the client's own limit cut it. Studies come newest first, series by number, instances by number, always"
        " in the same order. X-Total-Count stands on the page with the last match and counts what this reader may see."
        " A key with a value that is unknown or not matched at the level is refused (400, with a Warning 299 that names"
        " it), as are malformed values: PS3.18 8.3 lets a service ignore what it does not support, but without its key"
        " a search would find more than its reader believes, such as everybody's studies, and programs hardly ever show"
        " a Warning. What restricts nothing is only told: an unknown field in includefield, a foreign parameter. A key"
        " with an empty value or `*` restricts nothing.\n"
    )


def _keys() -> Iterator[tuple[str, ...]]:
    for key in sorted(KEYS, key=lambda key: key.tag):
        marks = [_mark(key.tag, level) for level in _LEVELS]
        if any(marks):
            yield f"({key.tag >> 16:04X},{key.tag & 0xFFFF:04X})", keyword_of(key.tag), *marks, key.kind.value


def _mark(tag: int, level: Level) -> str:
    key = next(key for key in KEYS if key.tag == tag)
    ranks = {Level.PATIENT: 0, Level.STUDY: 1, Level.SERIES: 2, Level.IMAGE: 3}
    matched = "M" if is_matched(key, level) else ""
    returned = not key.only_at_level and ranks[key.level] <= ranks[level]
    answered = "R" if tag in DEFAULTS[level] else "(R)" if returned else ""
    return " ".join(part for part in (matched, answered) if part)


def _paths() -> Iterator[tuple[str, str]]:
    for (sequence, tag), key in ITEM_KEYS.items():
        levels = ", ".join(level.capitalize() for level in _LEVELS if is_matched(key, level))
        yield f"`{keyword_of(sequence)}.{keyword_of(tag)}`", levels


def _syntaxes() -> Iterator[tuple[str, str, str]]:
    for syntax in TRANSFER_SYNTAXES.values():
        forms = [f"`{offer.kind}`" + (" decoded" if offer.decoded else "") for offer in offers_of(syntax.uid)]
        yield syntax.name, f"`{syntax.uid}`", ", ".join(forms)


def _refusals() -> Iterator[tuple[str, str, str]]:
    for kind, status in STATUS.items():
        yield kind.sentence, str(status), f"{FAILURE_REASON[kind.code]:04X}H"


def main() -> None:
    """Writes the page."""
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(statement(), encoding="utf-8")


if __name__ == "__main__":
    main()
