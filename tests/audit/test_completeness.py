"""Every door is walked through over its real protocol, and each act has left its entries before its answer came."""

import re
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset

from tests.fhir.house import PERSONNUMMER, SHAPE, TOLVAN, send, store, texts
from tests.scratch import Running
from tests.waiting import PATIENCE_S

pynetdicom = pytest.importorskip("pynetdicom")
from pynetdicom import build_role, evt  # noqa: E402
from pynetdicom.sop_class import (  # noqa: E402
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from tests.pynetdicom_paused import AE  # noqa: E402

pytestmark = pytest.mark.slow

GP = "SE9990000004-9001"
LINDEN, NORD = "SE9990000004-0001", "SE9990000001-0001"
Row = dict[str, Any]


class Journal:
    """The audit entries of a running server, read beside it."""

    def __init__(self, running: Running) -> None:
        self._path = Path(running.about["data"]) / "index.sqlite"
        self._http = running.http
        self._seen = 0
        self.table: list[str] = []

    def fresh(self) -> list[Row]:
        """Entries since the last look.

        An entry is in the journal before the answer; its row comes into the index within some hundredths of a second,
        and is waited for by the number of records that the server has written.
        """
        connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
        connection.row_factory = sqlite3.Row
        written = re.search(r"^samsyn_store_records_total (\d+)", self._metrics(), re.MULTILINE)
        assert written
        deadline = time.monotonic() + PATIENCE_S
        while connection.execute("SELECT sequence FROM journal_state").fetchone()[0] < int(written[1]):
            assert time.monotonic() < deadline, "the index stays behind the journal"
            time.sleep(0.005)
        rows = connection.execute("SELECT * FROM audit WHERE sequence > ? ORDER BY sequence", (self._seen,))
        found = [dict(row) for row in rows]
        connection.close()
        self._seen = max([self._seen, *(row["sequence"] for row in found)])
        return found

    def _metrics(self) -> str:
        answer = httpx.get(f"{self._http}/metrics", timeout=60)
        assert answer.status_code == 200
        return answer.text

    def came(self, act: str, *events: str, act_by: Callable[[], Any], soon: bool = False) -> list[Row]:
        """Does something, and demands exactly these events of it: there already when the answer has come."""
        self.fresh()
        act_by()
        rows = self.fresh()
        deadline = time.monotonic() + PATIENCE_S
        while soon and len(rows) < len(events) and time.monotonic() < deadline:
            time.sleep(0.02)
            rows += self.fresh()
        told = [row["event"] for row in rows]
        self.table.append(f"{act}: {', '.join(told) or '–'}")
        assert sorted(told) == sorted(events), (act, told, rows)
        return rows


@pytest.fixture(scope="module")
def journal(scratch: Running) -> Journal:
    return Journal(scratch)


class Browser:
    """Logs in at the viewer through the demo identity provider."""

    def __init__(self, running: Running) -> None:
        headers = {"origin": running.http, "sec-fetch-site": "same-origin"}
        self.http = httpx.Client(base_url=running.http, headers=headers, follow_redirects=True, timeout=30)
        self.page = ""

    def log_in(self, persona: str) -> None:
        page = self.http.get("/login/start").text
        hidden = re.search(r'name="request" value="([^"]+)"', page)
        assert hidden
        form = {"request": hidden[1], "persona": persona}
        answer = self.http.post("/demo-idp/choose", data=form)
        if 'name="assignment"' in answer.text:
            chosen = re.search(r'name="assignment"[^>]*value="([^"]+)"', answer.text)
            assert chosen
            answer = self.http.post("/demo-idp/choose", data={**form, "assignment": chosen[1]})
        assert answer.status_code == 200, answer.text
        self.page = answer.text

    def get(self, path: str) -> httpx.Response:
        answer = self.http.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        return answer

    def post(self, path: str, **fields: str) -> httpx.Response:
        token = re.search(r'name="form_token" value="([^"]+)"', self.page)
        assert token
        answer = self.http.post(path, data={"form_token": token[1], **fields})
        self.page = answer.text
        return answer


@pytest.fixture(scope="module")
def study(scratch: Running) -> str:
    """Tolvan has a study with referral and report at Nordsjukhuset."""
    uid = store(scratch, "NORDCT", TOLVAN, "NORD1")
    send(scratch.mllp_port, *texts("NORDRIS", "NORD1", "Inga tecken till pneumoni."))
    return uid


def asked_by_dicom(
    running: Running, model: Any, work: Callable[[Any], Any], calling: str = "NORDPACS"
) -> Any:
    ae = AE(calling)
    ae.add_requested_context(model)
    ae.add_requested_context(SHAPE.sop_class)
    roles = [build_role(SHAPE.sop_class, scp_role=True)]
    association = ae.associate(
        "127.0.0.1", running.dicom_port, ae_title="SAMSYN", ext_neg=roles,
        evt_handlers=[(evt.EVT_C_STORE, lambda event: 0x0000)],
    )  # fmt: skip
    assert association.is_established
    try:
        return list(work(association))
    finally:
        association.release()


def keys(study: str) -> Dataset:
    made = Dataset()
    made.QueryRetrieveLevel = "STUDY"
    made.StudyInstanceUID = study
    return made


def test_what_comes_in(scratch: Running, journal: Journal) -> None:
    rows = journal.came(
        "C-STORE, three images of a study", "STORE_STUDY",
        act_by=lambda: store(scratch, "NORDCT", TOLVAN, "NORD9"),
    )  # fmt: skip
    stored = next(row for row in rows if row["event"] == "STORE_STUDY")
    assert (stored["activity"], stored["actor"], stored["actor_provider"]) == ("Skriva", "NORDCT", NORD)
    journal.came(
        "HL7, a referral and a report", "FILE_REFERRAL", "FILE_REPORT",
        act_by=lambda: send(scratch.mllp_port, *texts("NORDRIS", "NORD9", "Utan anmärkning.")),
    )  # fmt: skip


def test_what_a_system_reads_over_dicom(scratch: Running, journal: Journal, study: str) -> None:
    find, get = StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet
    move = StudyRootQueryRetrieveInformationModelMove
    rows = journal.came(
        "C-FIND", "SYSTEM_VIEW", "SEARCH",
        act_by=lambda: asked_by_dicom(scratch, find, lambda a: a.send_c_find(keys(study), find)),
    )  # fmt: skip
    assert {row["actor"] for row in rows} == {"NORDPACS"}
    rows = journal.came(
        "C-GET of a study", "SEND",
        act_by=lambda: asked_by_dicom(scratch, get, lambda a: a.send_c_get(keys(study), get)),
    )  # fmt: skip
    assert (rows[-1]["owner_provider"], rows[-1]["activity"]) == (NORD, "Utskrift")
    rows = journal.came(
        "C-MOVE of a study to another system", "SEND",
        act_by=lambda: asked_by_dicom(scratch, move, lambda a: a.send_c_move(keys(study), "SINK", move)),
    )  # fmt: skip
    assert '"to":"SINK"' in rows[0]["details"]


@pytest.fixture
def web(scratch: Running) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {scratch.persona_token('radiologist')}"}
    with httpx.Client(base_url=scratch.http, headers=headers, timeout=30) as client:
        yield client


def test_what_a_reader_opens_over_dicomweb(
    scratch: Running, journal: Journal, study: str, web: httpx.Client
) -> None:
    def got(path: str) -> Callable[[], httpx.Response]:
        return lambda: web.get(f"/dicomweb{path}").raise_for_status()

    base = f"/studies/{study}"
    journal.came(
        "QIDO of one patient", "SEARCH_PATIENT", "SEARCH", act_by=got(f"/studies?PatientID={TOLVAN}")
    )
    rows = journal.came("WADO metadata", "OPEN_METADATA", act_by=got(f"{base}/metadata"))
    assert (rows[0]["activity"], rows[0]["owner_provider"], rows[0]["purpose"]) == (
        "Läsa", NORD, "Vård och behandling",
    )  # fmt: skip
    instances = web.get(f"/dicomweb{base}/instances").json()
    series, one, other = (
        instances[0]["0020000E"]["Value"][0],
        *(each["00080018"]["Value"][0] for each in instances[:2]),
    )
    of_series = f"{base}/series/{series}"
    journal.came("WADO thumbnail of a study", "OPEN_LIST", act_by=got(f"{base}/thumbnail"))
    rows = journal.came(
        "WADO first frame", "OPEN_IMAGES", act_by=got(f"{of_series}/instances/{one}/frames/1")
    )
    assert study in rows[0]["details"]
    journal.came("WADO next frame of it", act_by=got(f"{of_series}/instances/{other}/frames/1"))
    journal.came("WADO whole study by the same reader", act_by=got(base))
    rows = journal.came(
        "the whole study as a ZIP file",
        "EXPORT",
        act_by=lambda: web.get(f"/dicomweb{base}", headers={"Accept": "application/zip"}).raise_for_status(),
    )
    assert rows[0]["activity"] == "Utskrift"
    journal.came(
        "WADO rendered picture by the same reader", act_by=got(f"{of_series}/instances/{one}/rendered")
    )


def test_what_is_read_over_fhir(scratch: Running, journal: Journal, study: str) -> None:
    headers = {"Authorization": f"Bearer {scratch.system_token('NORDWEB')}"}
    with httpx.Client(base_url=f"{scratch.http}/fhir", headers=headers, timeout=30) as fhir:
        handle = ""

        def patient() -> None:
            nonlocal handle
            found = fhir.get("/Patient", params={"identifier": f"{PERSONNUMMER}|{TOLVAN}"}).raise_for_status()
            handle = found.json()["entry"][0]["resource"]["id"]

        rows = journal.came("FHIR Patient", "SEARCH_PATIENT", "SEARCH", act_by=patient)
        assert all(row["patient_key"] > 0 for row in rows)
        for kind, *events in (
            ("ImagingStudy",),
            ("DiagnosticReport", "OPEN_REPORT", "OPEN_REPORT"),
            ("ServiceRequest", "OPEN_REFERRAL", "OPEN_REFERRAL"),
        ):
            journal.came(
                f"FHIR {kind}", *events,
                act_by=lambda kind=kind: fhir.get(f"/{kind}", params={"patient": handle}).raise_for_status(),
            )  # fmt: skip


def test_everything_of_a_patient_over_fhir(scratch: Running, journal: Journal, study: str) -> None:
    headers = {"Authorization": f"Bearer {scratch.persona_token('physician')}"}
    with httpx.Client(base_url=f"{scratch.http}/fhir", headers=headers, timeout=30) as fhir:
        found = (
            fhir.get("/Patient", params={"identifier": f"{PERSONNUMMER}|{TOLVAN}"}).raise_for_status().json()
        )
        handle = found["entry"][0]["resource"]["id"]
        rows = journal.came(
            "FHIR Patient/$everything by a reader at another unit",
            act_by=lambda: fhir.get(f"/Patient/{handle}/$everything").raise_for_status(),
        )
        assert rows == []
    headers = {"Authorization": f"Bearer {scratch.system_token('BENCH')}"}
    with httpx.Client(base_url=f"{scratch.http}/fhir", headers=headers, timeout=30) as fhir:
        fhir.get("/Patient", params={"identifier": f"{PERSONNUMMER}|{TOLVAN}"}).raise_for_status()
        rows = journal.came(
            "FHIR Patient/$everything by a system of the owner",
            *("OPEN_REPORT", "OPEN_REPORT", "OPEN_REFERRAL", "OPEN_REFERRAL"),
            act_by=lambda: fhir.get(f"/Patient/{handle}/$everything").raise_for_status(),
        )
        assert {row["details"].count('"by":"system"') for row in rows} == {1}


def test_what_a_doctor_does_in_the_viewer(scratch: Running, journal: Journal, study: str) -> None:
    browser = Browser(scratch)
    rows = journal.came("log-in", "LOGIN", act_by=lambda: browser.log_in("radiologist"))
    login = rows[0]
    assert '"name"' in login["details"] and login["actor_provider"] == NORD
    rows = journal.came(
        "search for a person",
        "SEARCH_PATIENT",
        "SEARCH_PATIENT",  # the number that was sought, and the View that lets the name be told
        act_by=lambda: browser.post("/find", number=TOLVAN),
    )
    assert rows[0]["session_id"] == login["session_id"] != ""
    ticket = re.search(r'name="person" value="([^"]+)"', browser.page)
    assert ticket
    journal.came(
        "opening the timeline",
        "SEARCH",
        act_by=lambda: browser.post("/open", person=ticket[1]),
    )
    examination = re.search(r'href="(/p/[^"]+/e/[^"]+)"', browser.page)
    assert examination
    shown: list[str] = []
    rows = journal.came(
        "opening an examination with images, report and referral",
        "OPEN_IMAGES", "OPEN_REPORT", "OPEN_REFERRAL",
        act_by=lambda: shown.append(browser.get(examination[1]).text),
    )  # fmt: skip
    assert {(row["owner_provider"], row["allowed"]) for row in rows} == {(NORD, 1)}
    series = re.search(r'href="(/p/[^"]+/s/[0-9a-f]+)"', shown[0])
    assert series
    journal.came("its pictures", act_by=lambda: browser.get(series[1]))
    journal.came("log-out", "LOGOUT", act_by=lambda: browser.post("/logout"))


def test_who_is_turned_away(scratch: Running, journal: Journal, study: str) -> None:
    def unknown_ae() -> None:
        ae = AE("NOBODY")
        ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
        # pynetdicom may see the end of the connection before the rejection that stands before it.
        assert not ae.associate("127.0.0.1", scratch.dicom_port, ae_title="SAMSYN").is_established

    rows = journal.came("unknown AE title", "LOGIN_REFUSED", act_by=unknown_ae, soon=True)
    assert (rows[0]["actor"], rows[0]["allowed"]) == ("", 0)
    assert "NOBODY" in rows[0]["details"]

    def unknown_token(door: str) -> Callable[[], None]:
        def ask() -> None:
            for _ in range(3):
                answer = httpx.get(f"{scratch.http}{door}", headers={"Authorization": "Bearer secret-guess"})
                assert answer.status_code == 401

        return ask

    rows = journal.came(
        "a guessed token, three times", "LOGIN_REFUSED", act_by=unknown_token("/dicomweb/studies")
    )
    assert "secret-guess" not in rows[0]["details"]
    journal.came(
        "a guessed token at FHIR", "LOGIN_REFUSED", act_by=unknown_token("/fhir/Patient?identifier=1")
    )

    def unknown_source() -> None:
        raw = texts("FREMLING", "X1", "Hej")[0]
        with socket.create_connection(("127.0.0.1", scratch.mllp_port), 10) as connection:
            connection.sendall(b"\x0b" + raw + b"\x1c\r")
            assert b"MSA|AR|" in connection.recv(4096)

    journal.came("unknown HL7 application", "LOGIN_REFUSED", act_by=unknown_source)
    browser = Browser(scratch)
    journal.came(
        "a log-in that was not begun here", "LOGIN_REFUSED",
        act_by=lambda: browser.http.get("/login/callback", params={"state": "x", "code": "y"}),
    )  # fmt: skip
    headers = {"Authorization": f"Bearer {scratch.persona_token('radiologist')}"}

    def everybody() -> None:
        assert httpx.get(f"{scratch.http}/dicomweb/studies", headers=headers).status_code == 403

    rows = journal.came("a search about nobody in particular", "REFUSED", act_by=everybody)
    assert (rows[0]["actor_provider"], rows[0]["allowed"]) == (NORD, 0)


def test_the_list_of_what_came(journal: Journal) -> None:
    assert len(journal.table) > 20
    print(f"{len(journal.table)} acts over 5 doors, each with exactly its entries")
