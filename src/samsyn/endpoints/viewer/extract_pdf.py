"""The log extract as a PDF on A4. Imported by extract_file.in_pdf alone, since its library takes 5 MiB."""

from io import BytesIO
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from samsyn.access.followup.elsewhere import ToldElsewhere
from samsyn.access.followup.extract import Extract
from samsyn.endpoints.viewer.extract_words import LineShown, elsewhere_in_words, lines_in_words
from samsyn.endpoints.viewer.language import Words
from samsyn.endpoints.viewer.wording import PatientShown, moment
from samsyn.providers.connections import Connections

_PETROL = colors.HexColor("#0b5563")
_LINE = colors.HexColor("#d5dfe2")
_TEXT = ParagraphStyle("text", fontName="Helvetica", fontSize=9.5, leading=12.5)
_HEAD = ParagraphStyle("head", parent=_TEXT, fontName="Helvetica-Bold")
_TITLE = ParagraphStyle("title", fontName="Helvetica-Bold", fontSize=18, leading=22, textColor=_PETROL)


def extract_pdf(
    extract: Extract,
    patient: PatientShown,
    words: Words,
    names: Connections,
    provider: str,
    elsewhere: ToldElsewhere | None = None,
) -> bytes:
    """The extract as PDF bytes. `provider`: who hands it out; "" = the patient's own reading of everybody's.

    `elsewhere`: what the national log service tells, None = it was not asked.
    """
    buffer = BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=18 * mm,
        rightMargin=18 * mm,
        topMargin=18 * mm,
        bottomMargin=18 * mm,
        title=words("extract.title"),
        author="Samsyn",
        lang=words("extract.language"),
    )
    story = [
        _paragraph(words("extract.title"), _TITLE),
        Spacer(1, 3 * mm),
        _paragraph(f"{patient.name}, {patient.number.text}", _HEAD),
        _paragraph(words("extract.made", time=moment(extract.made)), _TEXT),
        *([_paragraph(words("extract.handed_out", provider=provider), _TEXT)] if provider else []),
        Spacer(1, 3 * mm),
        _paragraph(words("extract.text"), _TEXT),
        Spacer(1, 5 * mm),
    ]
    lines = lines_in_words(extract, words, names)
    if lines:
        story.append(_table(lines, words))
    else:
        story.append(_paragraph(words("extract.empty"), _HEAD))
    if not extract.is_complete:
        story += [Spacer(1, 4 * mm), _paragraph(words("extract.more_exists"), _TEXT)]
    if elsewhere is not None:
        story += _elsewhere(elsewhere, words, names)
    document.build(story)
    return buffer.getvalue()


def _elsewhere(told: ToldElsewhere, words: Words, names: Connections) -> list[Flowable]:
    lines = elsewhere_in_words(told, words, names)
    story: list[Flowable] = [
        Spacer(1, 8 * mm),
        _paragraph(words("extract.elsewhere"), _HEAD),
        _paragraph(words(f"extract.elsewhere_{told.found.value}"), _TEXT),
        Spacer(1, 3 * mm),
    ]
    if not told.is_complete:
        story.append(_paragraph(words("extract.elsewhere_more"), _TEXT))
    if lines:
        heads = [_paragraph(words(f"extract.{name}"), _HEAD) for name in ("when", "where", "what", "why")]
        rows = [
            [_paragraph(text, _TEXT) for text in (line.time, line.where, line.what, line.purpose)]
            for line in lines
        ]
        story.append(_ruled([heads, *rows]))
    return story


def _table(lines: list[LineShown], words: Words) -> Table:
    heads = ("when", "where", "what", "why")
    rows = [[_paragraph(words(f"extract.{name}"), _HEAD) for name in heads]]
    for line in lines:
        what = "; ".join(line.done) + (f" – {words('extract.emergency')}" if line.is_emergency else "")
        where = f"{line.unit}{', ' if line.provider else ''}{line.provider}"
        rows.append(
            [
                _paragraph(f"{line.day} {line.time}", _TEXT),
                _paragraph(where if line.is_patient else f"{where} ({line.who})", _TEXT),
                _paragraph(what, _TEXT),
                _paragraph(line.purpose, _TEXT),
            ]
        )
    return _ruled(rows)


def _ruled(rows: list[list[Paragraph]]) -> Table:
    table = Table(rows, colWidths=[32 * mm, 54 * mm, 58 * mm, 30 * mm], repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LINEBELOW", (0, 0), (-1, 0), 1, _PETROL),
                ("LINEBELOW", (0, 1), (-1, -1), 0.4, _LINE),
                ("LEFTPADDING", (0, 0), (-1, -1), 2),
                ("RIGHTPADDING", (0, 0), (-1, -1), 4),
            ]
        )
    )
    return table


def _paragraph(text: str, style: ParagraphStyle) -> Paragraph:
    """Text as it is: the standard fonts have the letters of Western Europe, others become a question mark."""
    return Paragraph(escape(text.encode("cp1252", "replace").decode("cp1252")), style)
