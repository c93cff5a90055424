"""pynetdicom against a running server: sends files as they are and gets them back as they were."""

import queue
from datetime import datetime, timedelta

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from samsyn.clock import STOCKHOLM
from tests.scratch import Running
from tests.strangers.dicom_samples import Sample, samples, send_as_they_are
from tests.waiting import PATIENCE_S

pynetdicom = pytest.importorskip("pynetdicom")
from pynetdicom import build_role, evt  # noqa: E402
from pynetdicom.pdu import A_ASSOCIATE_RJ  # noqa: E402
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation  # noqa: E402
from pynetdicom.sop_class import (  # noqa: E402
    CTImageStorage,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    Verification,
)

from tests.pynetdicom_paused import AE  # noqa: E402

pytestmark = [pytest.mark.slow]


def associate(scratch: Running, ae: "AE", **options: object) -> object:
    association = ae.associate("127.0.0.1", scratch.dicom_port, ae_title="SAMSYN", **options)
    assert association.is_established
    return association


@pytest.fixture(scope="module")
def stored(scratch: Running) -> list[Sample]:
    """Everything, sent once without re-encoding."""
    everything = samples()
    assert send_as_they_are(scratch.dicom_port, everything) == [0x0000] * len(everything)
    return everything


def test_an_echo_is_answered_and_the_association_released(scratch: Running) -> None:
    ae = AE("PYNETDICOM")
    ae.add_requested_context(Verification)
    association = associate(scratch, ae)
    for _ in range(20):
        assert association.send_c_echo().Status == 0x0000
    association.release()
    assert association.is_released


def test_every_object_comes_back_byte_for_byte(scratch: Running, stored: list[Sample]) -> None:
    got: dict[str, bytes] = {}

    def keep(event: "evt.Event") -> int:
        got[str(event.request.AffectedSOPInstanceUID)] = event.encoded_dataset(include_meta=False)
        return 0x0000

    ae = AE("PYNETDICOM")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelGet, ExplicitVRLittleEndian)
    for kind in dict.fromkeys((sample.sop_class, sample.transfer_syntax) for sample in stored):
        ae.add_requested_context(*kind)
    roles = [build_role(uid, scp_role=True) for uid in {sample.sop_class for sample in stored}]
    association = associate(scratch, ae, ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, keep)])
    for study in {sample.study for sample in stored}:
        keys = Dataset()
        keys.QueryRetrieveLevel = "STUDY"
        keys.StudyInstanceUID = study
        statuses = [
            status.Status
            for status, _ in association.send_c_get(keys, StudyRootQueryRetrieveInformationModelGet)
        ]
        assert statuses[-1] == 0x0000
    association.release()
    assert got == {sample.sop_instance: sample.data for sample in stored}


def test_a_search_by_name_and_date_answers_with_what_was_asked(
    scratch: Running, stored: list[Sample]
) -> None:
    ae = AE("PYNETDICOM")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    association = associate(scratch, ae)
    keys = Dataset()
    keys.QueryRetrieveLevel = "STUDY"
    keys.PatientName = "CompressedSamples*"
    keys.StudyInstanceUID = ""
    keys.StudyDate = ""
    answers = list(association.send_c_find(keys, StudyRootQueryRetrieveInformationModelFind))
    association.release()
    assert answers[-1][0].Status == 0x0000
    assert {answer.StudyInstanceUID for _, answer in answers if answer} >= {stored[0].study}


def test_extended_negotiation_is_answered_and_changes_the_matching(
    scratch: Running, stored: list[Sample]
) -> None:
    sample = next(sample for sample in stored if sample.path.name == "CT_small.dcm")
    header = dcmread(sample.path)
    told = f"{header.StudyDate}{header.StudyTime[:6]}{header.TimezoneOffsetFromUTC}"
    moment = datetime.strptime(told, "%Y%m%d%H%M%S%z").astimezone(STOCKHOLM)
    before = f"{moment - timedelta(days=1):%Y%m%d}-{moment:%Y%m%d}"
    for wish, count in ((b"\1\1", 1), (b"\1\0", 0)):
        ae = AE("PYNETDICOM")
        ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid = StudyRootQueryRetrieveInformationModelFind
        item.service_class_application_information = wish
        association = associate(scratch, ae, ext_neg=[item])
        assert association.acceptor.sop_class_extended == {StudyRootQueryRetrieveInformationModelFind: wish}
        keys = Dataset()
        keys.QueryRetrieveLevel = "STUDY"
        keys.StudyInstanceUID = sample.study
        keys.StudyDate = before
        keys.StudyTime = f"235959-{moment:%H%M%S}"
        answers = list(association.send_c_find(keys, StudyRootQueryRetrieveInformationModelFind))
        association.release()
        assert len(answers) - 1 == count, wish


def rejection(scratch: Running, ae: "AE", called: str) -> tuple[int, int, int]:
    """Result, source and reason of the A-ASSOCIATE-RJ that `ae` is answered with (PS3.8 9.3.4).

    Read off the PDU, not off ``is_rejected``: where the answer is read before the thread that asked looks
    whether it is connected, pynetdicom takes the closed connection for one that never was (seen once in
    several hundred runs of a busy machine).
    """
    received: list[object] = []
    ae.add_requested_context(Verification)
    ae.associate(
        "127.0.0.1",
        scratch.dicom_port,
        ae_title=called,
        evt_handlers=[(evt.EVT_PDU_RECV, lambda event: received.append(event.pdu))],
    )
    [pdu] = received
    assert isinstance(pdu, A_ASSOCIATE_RJ)
    return pdu.result, pdu.source, pdu.reason_diagnostic


def test_a_stranger_is_rejected_for_its_title(scratch: Running) -> None:
    assert rejection(scratch, AE("NOBODY"), "SAMSYN") == (1, 1, 3)


def test_a_wrong_called_title_is_rejected(scratch: Running) -> None:
    assert rejection(scratch, AE("PYNETDICOM"), "OTHER") == (1, 1, 7)


def test_every_storage_class_of_the_standard_is_accepted(scratch: Running) -> None:
    contexts = list(pynetdicom.AllStoragePresentationContexts)
    for start in range(0, len(contexts), 100):
        ae = AE("PYNETDICOM")
        wanted = contexts[start : start + 100]
        for context in wanted:
            if str(context.abstract_syntax).startswith("1.2.840.10008.5.1.4.1.1"):
                ae.add_requested_context(context.abstract_syntax)
        association = associate(scratch, ae)
        assert association.rejected_contexts == []
        association.abort()


def test_a_data_set_that_contradicts_its_envelope_is_not_stored(scratch: Running) -> None:
    ae = AE("PYNETDICOM")
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = associate(scratch, ae)
    broken = Dataset()
    broken.SOPClassUID = CTImageStorage
    broken.SOPInstanceUID = "2.25.4711"
    broken.PatientID = "191212121212"
    broken.file_meta = pynetdicom.dsutils.create_file_meta(
        sop_class_uid=CTImageStorage, sop_instance_uid="2.25.4711", transfer_syntax=ExplicitVRLittleEndian
    )
    status = association.send_c_store(broken)
    assert status.Status == 0xC000
    assert len(status.get("ErrorComment", "")) <= 64
    association.release()


def test_storage_commitment_is_answered_on_the_same_association(
    scratch: Running, stored: list[Sample]
) -> None:
    reports: queue.Queue[tuple[int, Dataset]] = queue.Queue()

    def keep(event: "evt.Event") -> tuple[int, None]:
        reports.put((event.request.EventTypeID, event.event_information))
        return 0x0000, None

    ae = AE("PYNETDICOM")
    ae.add_requested_context(StorageCommitmentPushModel)
    association = associate(scratch, ae, evt_handlers=[(evt.EVT_N_EVENT_REPORT, keep)])
    wanted = Dataset()
    wanted.TransactionUID = "2.25.4711"
    wanted.ReferencedSOPSequence = []
    for sop_class, sop_instance in [(each.sop_class, each.sop_instance) for each in stored] + [
        ("1.2.840.10008.5.1.4.1.1.2", "2.25.404")
    ]:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
        wanted.ReferencedSOPSequence.append(item)
    status, _ = association.send_n_action(
        wanted, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    assert status.Status == 0x0000
    event_type, report = reports.get(timeout=PATIENCE_S)
    association.release()
    assert event_type == 2
    assert report.TransactionUID == "2.25.4711"
    assert {each.ReferencedSOPInstanceUID for each in report.ReferencedSOPSequence} == {
        each.sop_instance for each in stored
    }
    (failed,) = report.FailedSOPSequence
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("2.25.404", 0x0112)
