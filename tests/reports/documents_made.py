"""Reports as DICOM objects, made as their senders make them."""

from typing import Any

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    BasicTextSRStorage,
    ComprehensiveSRStorage,
    EncapsulatedCDAStorage,
    EncapsulatedPDFStorage,
    EnhancedSRStorage,
)

BASIC, ENHANCED, COMPREHENSIVE = BasicTextSRStorage, EnhancedSRStorage, ComprehensiveSRStorage
PDF_BYTES = b"%PDF-1.4\n%%EOF\n"


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def content(kind: str, name: Dataset | None = None, relation: str = "CONTAINS", **values: Any) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relation, kind
    if name is not None:
        item.ConceptNameCodeSequence = Sequence([name])
    for key, value in values.items():
        setattr(item, key, value)
    return item


def section(heading: str, *items: Dataset) -> Dataset:
    return content(
        "CONTAINER",
        code("121070", "DCM", heading),
        ContinuityOfContent="SEPARATE",
        ContentSequence=Sequence(items),
    )


def text(value: str, name: str = "Finding") -> Dataset:
    return content("TEXT", code("121071", "DCM", name), TextValue=value)


def number(name: str, value: str, unit: str) -> Dataset:
    measured = Dataset()
    measured.NumericValue = value
    measured.MeasurementUnitsCodeSequence = Sequence([code(unit, "UCUM", unit)])
    return content("NUM", code("N1", "99T", name), MeasuredValueSequence=Sequence([measured]))


def header(sop_class: str, uid: str, accession: str, **more: Any) -> Dataset:
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 100"
    data.SOPClassUID, data.SOPInstanceUID = sop_class, uid
    data.StudyInstanceUID, data.SeriesInstanceUID = "2.25.70", uid + ".1"
    data.PatientID, data.PatientName, data.PatientBirthDate, data.PatientSex = (
        "191212121212", "Tolvansson^Tolvan", "19121212", "M",
    )  # fmt: skip
    data.StudyDate, data.AccessionNumber, data.Modality = "20240315", accession, "SR"
    data.ContentDate, data.ContentTime, data.TimezoneOffsetFromUTC = "20240315", "101500", "+0100"
    for key, value in more.items():
        setattr(data, key, value)
    return data


def report(
    *sections: Dataset,
    uid: str = "2.25.71",
    accession: str = "ACC300",
    sop_class: str = BASIC,
    verified: str = "20240315101500+0100",
    title: Dataset | None = None,
    replaces: bool = False,
) -> bytes:
    """A structured report; `verified` "" = nobody has signed it."""
    data = header(sop_class, uid, accession)
    data.ValueType, data.ContinuityOfContent = "CONTAINER", "SEPARATE"
    data.ConceptNameCodeSequence = Sequence([title or code("18748-4", "LN", "Diagnostic imaging report")])
    data.CompletionFlag = "COMPLETE"
    data.VerificationFlag = "VERIFIED" if verified else "UNVERIFIED"
    if verified:
        observer = Dataset()
        observer.VerificationDateTime, observer.VerifyingObserverName = verified, "Berg^Anna"
        observer.VerifyingOrganization = "Nordsjukhuset"
        data.VerifyingObserverSequence = Sequence([observer])
    if replaces:
        data.PredecessorDocumentsSequence = Sequence([Dataset()])
    author = content(
        "PNAME", code("121008", "DCM", "Person Observer Name"), "HAS OBS CONTEXT", PersonName="Ek^Bo"
    )
    data.ContentSequence = Sequence([author, *sections])
    return written(data)


def encapsulated(
    payload: bytes, uid: str = "2.25.72", accession: str = "ACC300", title: str = "Utlåtande", **more: Any
) -> bytes:
    """A PDF, or a CDA document when it begins as XML."""
    is_cda = payload.lstrip().startswith(b"<")
    data = header(EncapsulatedCDAStorage if is_cda else EncapsulatedPDFStorage, uid, accession, **more)
    data.Modality, data.DocumentTitle = "DOC", title
    data.MIMETypeOfEncapsulatedDocument = "text/XML" if is_cda else "application/pdf"
    data.EncapsulatedDocumentLength = len(payload)
    data.EncapsulatedDocument = payload + b"\0" * (len(payload) % 2)
    return written(data)


def written(data: Dataset) -> bytes:
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, data)
    return bytes(stream.getvalue())


def cda(body: str, signed: str = "20240315101500+0100", related: str = "") -> bytes:
    """A CDA R2 document with one section."""
    legal = (
        f'<legalAuthenticator><time value="{signed}"/><signatureCode code="S"/><assignedEntity><id root="1.2"/>'
        "<assignedPerson><name><given>Anna</given><family>Berg</family></name></assignedPerson></assignedEntity>"
        "</legalAuthenticator>"
        if signed
        else ""
    )
    linked = (
        f'<relatedDocument typeCode="{related}"><parentDocument><id root="1.3"/></parentDocument></relatedDocument>'
        if related
        else ""
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3"/>'
        f'<title>Utlåtande</title><effectiveTime value="20240315101500+0100"/>{legal}{linked}'
        "<component><structuredBody><component><section><title>Bedömning</title>"
        f"<text>{body}</text></section></component></structuredBody></component></ClinicalDocument>"
    ).encode()
