"""The DICOM doors of the matrix, asked by another implementation (pynetdicom)."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    CTImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from tests.doors.doors import Answer
from tests.doors.instance import Target
from tests.pynetdicom_paused import AE

SINKS = {"NORDPACS": "SINK", "KLARAPACS": "KLARASINK"}
"""Each system's own C-MOVE destination."""
_EMPTY_KEYS = (
    "PatientName",
    "StudyDate",
    "StudyDescription",
    "AccessionNumber",
    "ModalitiesInStudy",
    "ReferringPhysicianName",
    "NumberOfPatientRelatedStudies",
    "NumberOfPatientRelatedSeries",
    "NumberOfPatientRelatedInstances",
    "NumberOfStudyRelatedInstances",
    "SeriesDescription",
    "InstitutionName",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "PatientID",
)


@dataclass
class Peer:
    """An association and what has been stored to the asking system or its sink since the last question."""

    association: Association
    name: str
    stored: list[bytes] = field(default_factory=list)


Ask = Callable[[Peer, Target], Answer]


def _identifier(level: str, **keys: str) -> Dataset:
    made = Dataset()
    made.QueryRetrieveLevel = level
    for name, value in keys.items():
        setattr(made, name, value)
    return made


def _find(model: str, level: str, **keys: str) -> Ask:
    def ask(peer: Peer, target: Target) -> Answer:
        peer.stored.clear()
        identifier = _identifier(level, **{name: value.format(t=target) for name, value in keys.items()})
        for name in _EMPTY_KEYS:
            if name not in identifier:
                setattr(identifier, name, "")
        statuses, found = [], []
        for status, match in peer.association.send_c_find(identifier, model):
            statuses.append(int(status.Status))
            found.append(str(match) if match is not None else "")
        return Answer(statuses[-1], (("statuses", str(statuses)),), "\n".join(found).encode())

    return ask


def _counts(status: Dataset) -> list[object]:
    return [
        int(status.Status),
        *(
            status.get(name)
            for name in (
                "NumberOfRemainingSuboperations",
                "NumberOfCompletedSuboperations",
                "NumberOfFailedSuboperations",
                "NumberOfWarningSuboperations",
                "ErrorComment",
            )
        ),
    ]


def _get(model: str, level: str, **keys: str) -> Ask:
    def ask(peer: Peer, target: Target) -> Answer:
        peer.stored.clear()
        identifier = _identifier(level, **{name: value.format(t=target) for name, value in keys.items()})
        answers = list(peer.association.send_c_get(identifier, model))
        last, failed = answers[-1]
        told = (("counts", str(_counts(last))), ("failed", str(failed) if failed else ""))
        return Answer(int(last.Status), told, b"".join(peer.stored))

    return ask


def _move(destination: str, level: str, **keys: str) -> Ask:
    def ask(peer: Peer, target: Target) -> Answer:
        peer.stored.clear()
        identifier = _identifier(level, **{name: value.format(t=target) for name, value in keys.items()})
        own, other = SINKS[peer.name], next(sink for name, sink in SINKS.items() if name != peer.name)
        answers = list(
            peer.association.send_c_move(
                identifier,
                own if destination == "own" else other,
                StudyRootQueryRetrieveInformationModelMove,
            )
        )
        last, failed = answers[-1]
        told = (("counts", str(_counts(last))), ("failed", str(failed) if failed else ""))
        return Answer(int(last.Status), told, b"".join(peer.stored))

    return ask


_PATIENT, _STUDY = PatientRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelFind
_GET = StudyRootQueryRetrieveInformationModelGet
DICOM_DOORS: tuple[tuple[str, Ask], ...] = (
    ("C-FIND patient", _find(_PATIENT, "PATIENT", PatientID="{t.patient_id}")),
    ("C-FIND patient by wild card", _find(_PATIENT, "PATIENT", PatientID="{t.patient_id}*")),
    ("C-FIND studies of patient", _find(_STUDY, "STUDY", PatientID="{t.patient_id}")),
    ("C-FIND study", _find(_STUDY, "STUDY", StudyInstanceUID="{t.study_uid}")),
    ("C-FIND study by description", _find(_STUDY, "STUDY", StudyDescription="KANIMG{t.token}")),
    ("C-FIND study by accession", _find(_STUDY, "STUDY", AccessionNumber="KANACC{t.token}")),
    ("C-FIND series", _find(_STUDY, "SERIES", StudyInstanceUID="{t.study_uid}")),
    (
        "C-FIND images",
        _find(_STUDY, "IMAGE", StudyInstanceUID="{t.study_uid}", SeriesInstanceUID="{t.series_uid}"),
    ),
    ("C-FIND image", _find(_STUDY, "IMAGE", SOPInstanceUID="{t.sop_uid}")),
    (
        "C-GET patient",
        _get(PatientRootQueryRetrieveInformationModelGet, "PATIENT", PatientID="{t.patient_id}"),
    ),
    ("C-GET study", _get(_GET, "STUDY", StudyInstanceUID="{t.study_uid}")),
    (
        "C-GET series",
        _get(_GET, "SERIES", StudyInstanceUID="{t.study_uid}", SeriesInstanceUID="{t.series_uid}"),
    ),
    (
        "C-GET image",
        _get(
            _GET,
            "IMAGE",
            StudyInstanceUID="{t.study_uid}",
            SeriesInstanceUID="{t.series_uid}",
            SOPInstanceUID="{t.sop_uid}",
        ),
    ),
    ("C-GET image by its UID alone", _get(_GET, "IMAGE", SOPInstanceUID="{t.sop_uid}")),
    ("C-MOVE study", _move("own", "STUDY", StudyInstanceUID="{t.study_uid}")),
    ("C-MOVE image", _move("own", "IMAGE", SOPInstanceUID="{t.sop_uid}")),
    ("C-MOVE study to another provider", _move("other", "STUDY", StudyInstanceUID="{t.study_uid}")),
)
REFUSED_TO_ALL = frozenset({"C-MOVE study to another provider"})
"""Sending to another provider is a disclosure, which no system decides."""


@contextmanager
def sink() -> Iterator[tuple[int, list[bytes]]]:
    """A storage system on loopback that keeps what it is sent."""
    kept: list[bytes] = []

    def keep(event: evt.Event) -> int:
        kept.append(event.encoded_dataset(include_meta=False))
        return 0x0000

    entity = AE("SINK")
    entity.add_supported_context(CTImageStorage, ExplicitVRLittleEndian)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    try:
        yield server.server_address[1], kept
    finally:
        server.shutdown()


@contextmanager
def called_as(name: str, port: int, sunk: list[bytes]) -> Iterator[Peer]:
    """An association under an AE title; not established when it is refused."""
    peer: Peer

    def keep(event: evt.Event) -> int:
        peer.stored.append(event.encoded_dataset(include_meta=False))
        return 0x0000

    entity = AE(name)
    for model in (
        _PATIENT,
        _STUDY,
        _GET,
        PatientRootQueryRetrieveInformationModelGet,
        StudyRootQueryRetrieveInformationModelMove,
    ):
        entity.add_requested_context(model, ExplicitVRLittleEndian)
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = entity.associate(
        "127.0.0.1",
        port,
        ae_title="SAMSYN",
        ext_neg=[build_role(CTImageStorage, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )
    if association.is_established:
        # This program writes command and data apart, and would wait for an acknowledgement between them.
        association.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer = Peer(association, name, sunk)
    try:
        yield peer
    finally:
        if association.is_established:
            association.release()
