"""The hospital's local PACS: a real Orthanc that asks Samsyn and fetches from it, where it is installed.

A process of its own (`python -m samsyn_demo.orthanc`) writes Orthanc's configuration, starts it, says
{"ready": true}, and does what is asked on stdin: "prove" makes Orthanc C-ECHO Samsyn, C-FIND the studies of a
patient and C-MOVE one prior to itself, then {"proved": true}. When stdin closes or SIGTERM comes, Orthanc is
stopped and the process ends.

Orthanc's HTTP port listens on loopback only. Its DICOM port cannot be bound to one address; it takes
associations from known titles at 127.0.0.1 only.
"""

import argparse
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from samsyn_demo.people import BY_KEY, STORY
from samsyn_demo.region import NORDSJUKHUSET
from samsyn_demo.senders.options import HOST, arguments, people, tell
from samsyn_demo.senders.outcome import Refused, attempts

AE_TITLE = next(each.ae_title for each in NORDSJUKHUSET.dicom if each.listens)
PROVE = "prove"
"""What is written to its stdin to have it ask Samsyn."""
_PLACES = ("/usr/sbin/Orthanc", "/usr/local/sbin/Orthanc")
_END_SECONDS = 8.0
_CALL_SECONDS = 60.0


def program() -> str | None:
    """Where Orthanc is installed, or None."""
    return shutil.which("Orthanc") or next((each for each in _PLACES if Path(each).exists()), None)


def configuration(folder: Path, dicom_port: int, http_port: int, samsyn_port: int) -> dict[str, Any]:
    """Orthanc's settings as NORDPACS."""
    samsyn = {
        "AET": "SAMSYN", "Host": HOST, "Port": samsyn_port, "AllowEcho": True, "AllowFind": False,
        "AllowMove": False, "AllowStore": True,
    }  # fmt: skip
    return {
        "Name": f"{NORDSJUKHUSET.name} {AE_TITLE}",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [],
        "DicomAet": AE_TITLE,
        "DicomPort": dicom_port,
        "DicomServerEnabled": True,
        "DicomCheckCalledAet": True,
        "DicomCheckModalityHost": True,
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowStore": False,
        "DicomModalities": {"samsyn": samsyn},
        "HttpPort": http_port,
        "HttpServerEnabled": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "HttpVerbose": False,
        "SynchronousCMove": True,
        "TcpNoDelay": True,
        "SaveJobs": False,
    }


class LocalPacs:
    """A running Orthanc."""

    def __init__(self, folder: Path, dicom_port: int, samsyn_port: int) -> None:
        self._folder = folder
        self._dicom_port = dicom_port
        self._samsyn_port = samsyn_port
        self._process: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(trust_env=False, timeout=_CALL_SECONDS)

    def start(self) -> None:
        """Returns when Orthanc answers; Refused when it does not start."""
        place = program()
        if place is None:
            raise Refused("Orthanc is not installed")
        (self._folder / "storage").mkdir(parents=True, exist_ok=True)
        http_port = _free_port(self._dicom_port + 1)
        settings = self._folder / "orthanc.json"
        wanted = configuration(self._folder, self._dicom_port, http_port, self._samsyn_port)
        settings.write_text(json.dumps(wanted, indent=1, ensure_ascii=False), encoding="utf-8")
        with (self._folder / "orthanc.log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the installed program and our own file
                [place, str(settings)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder
            )
        self._client.base_url = httpx.URL(f"http://{HOST}:{http_port}")
        for _ in attempts():
            if self._process.poll() is not None:
                break
            with contextlib.suppress(httpx.TransportError):
                if self._client.get("/system").status_code == 200:
                    return
        self.stop()
        raise Refused(f"Orthanc did not start: see {self._folder / 'orthanc.log'}")

    def stop(self) -> None:
        """Ends Orthanc, gently first."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def prove(self, number: str) -> str:
        """Echo, find the patient's studies, fetch the oldest CT or else the oldest; what came of it in words.

        The hospital finds what it owns itself: for other providers' pictures a machine has no ground.
        """
        self._call("/modalities/samsyn/echo", {})
        wanted = {"PatientID": number, "StudyDate": "", "ModalitiesInStudy": ""}
        query = self._call("/modalities/samsyn/query", {"Level": "Study", "Query": wanted})["ID"]
        answers = self._read(f"/queries/{query}/answers?expand&simplify")
        if not answers:
            raise Refused(f"{AE_TITLE}: C-FIND: no study of a patient who has some")
        prior = min(range(len(answers)), key=lambda place: _worth(answers[place]))
        began = time.monotonic()
        self._call(f"/queries/{query}/answers/{prior}/retrieve", {"TargetAet": AE_TITLE, "Synchronous": True})
        spent = time.monotonic() - began
        objects = int(self._read("/statistics")["CountInstances"])
        if not objects:
            raise Refused(f"{AE_TITLE}: C-MOVE: nothing arrived")
        return f"{len(answers)} studies found, a prior of {objects} objects fetched in {spent:.1f} s"

    def _call(self, path: str, content: dict[str, Any]) -> Any:
        try:
            answer = self._client.post(path, json=content)
        except httpx.TransportError as error:
            raise Refused(f"{AE_TITLE}: {path.rsplit('/', 1)[-1]}: {type(error).__name__}") from None
        if answer.status_code != 200:
            raise Refused(f"{AE_TITLE}: {path.rsplit('/', 1)[-1]}: HTTP {answer.status_code}")
        return answer.json()

    def _read(self, path: str) -> Any:
        return self._client.get(path).raise_for_status().json()


def _worth(study: dict[str, Any]) -> tuple[bool, str]:
    """Sorts a study with CT before others, and the older before the newer."""
    return "CT" not in str(study.get("ModalitiesInStudy", "")), str(study.get("StudyDate", ""))


def _free_port(first: int) -> int:
    """The first free port on loopback from `first` on."""
    for port in range(first, min(first + 200, 65_536)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port
    raise Refused("no free port for Orthanc's HTTP server")


def _stop_on_signal(*_: object) -> None:
    raise SystemExit(0)


def main() -> int:
    """Runs Orthanc until stdin closes or SIGTERM comes."""
    parser = argparse.ArgumentParser(prog="samsyn_demo.orthanc", description=__doc__)
    arguments(parser)
    parser.add_argument("--local-pacs-port", type=int, required=True, help="where NORDPACS is to listen")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop_on_signal)
    pacs = LocalPacs(options.folder.resolve() / "orthanc", options.local_pacs_port, options.dicom_port)
    name = f"{NORDSJUKHUSET.name} {AE_TITLE}"
    try:
        pacs.start()
        tell("nord", f"{name} (Orthanc) listens on port {options.local_pacs_port}", ready=True)
        for line in sys.stdin:
            if line.strip() == PROVE:
                only = people(options)
                person = BY_KEY[only[0]] if only else STORY
                tell("nord", f"{name} asks Samsyn: {pacs.prove(person.number)}", proved=True)
    except Refused as refusal:
        tell("nord", str(refusal), failed=True)
        return 1
    finally:
        pacs.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
