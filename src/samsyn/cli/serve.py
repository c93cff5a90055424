"""`samsyn serve`."""

import asyncio
import json
import logging
import os
import resource
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from samsyn import limits, operations_log, settings
from samsyn.cli import scratch as scratch_instance
from samsyn.cli.memory import LOOK_S, FreePages, bound_what_is_kept, keep_what_has_started
from samsyn.cli.stopping import Stopped, StopSignals
from samsyn.clock import SystemClock
from samsyn.errors import ConfigurationError
from samsyn.operations_log import LogFile
from samsyn.server import Server
from samsyn.settings import Settings
from samsyn.store.opening import drop_index
from samsyn.store.upkeep.rounds import Rounds

log = logging.getLogger(__name__)

_SWITCH_S = 0.001
"""How long a thread may hold the interpreter while another waits: an answer must not wait 5 ms for the writer."""


def run(
    config: Path | None,
    data: Path | None,
    dimse_port: int | None,
    http_port: int | None,
    mllp_port: int | None,
    scratch: bool,
    index: str = "",
) -> None:
    """Serves until SIGTERM or SIGINT. `index`: address of the database that keeps the index of a scratch instance."""
    operations_log.start(sys.stderr)
    os.umask(0o077)
    sys.setswitchinterval(_SWITCH_S)
    bound_what_is_kept()
    allow_open_files()
    if scratch:
        folder = Path(tempfile.mkdtemp(prefix="samsyn-scratch-"))
        try:
            asyncio.run(_serve_scratch(folder, index))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    values = settings.load(config)
    for section, key, value in (
        ("data", "folder", data),
        ("dicom", "port", dimse_port),
        ("http", "port", http_port),
        ("mllp", "port", mllp_port),
    ):
        if value is not None:
            changed = getattr(values, section).model_copy(update={key: value})
            values = values.model_copy(update={section: changed})
    if config is None and not values.provider:
        # A throw-away set of known systems, so that the bare command can be tried; see `samsyn config`.
        values = values.model_copy(
            update={"provider": scratch_instance.make(values.data.folder).settings.provider}
        )
    asyncio.run(_serve(values))


def allow_open_files() -> None:
    """Raises the soft limit of open files, which is often 1,024: the doors together may hold more connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(limits.MAX_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(values: Settings) -> None:
    signals = StopSignals()
    if not sys.stderr.isatty():  # who closes the window of a process in it wants it to end
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, LogFile(sys.stderr).open_anew)
    is_new = values.objects.kind == "folder" and not (values.data.folder / "journal").is_dir()
    server = Server(values, SystemClock(), signals.left_off)
    try:
        await _start(server)
    except Stopped:
        log.info("stopped-while-starting")
        return
    if is_new:  # said aloud: where there should be one, the folder is mistyped, or its disk is not mounted
        print(f"There was no record in {values.data.folder}: a new, empty one has begun.", file=sys.stderr)
    print(
        f"Samsyn is ready: web http://{values.http.host}:{server.http_port}/"
        f"  DICOM {values.dicom.ae_title}@{values.dicom.host}:{server.dicom_port}"
        f"  HL7 {values.mllp.host}:{server.mllp_port}",
        file=sys.stderr,
        flush=True,
    )
    await until_told(server, signals.told)


async def _serve_scratch(folder: Path, index: str) -> None:
    instance = scratch_instance.make(folder, index)
    signals = StopSignals()
    server = Server(instance.settings, SystemClock())
    await _start(server)
    await server.add_test_persons(scratch_instance.TEST_PERSONS, scratch_instance.BOOKED_PERSONS)
    print(json.dumps(_description(server, instance, folder), ensure_ascii=False), flush=True)
    await until_told(server, signals.told)
    if index:
        await asyncio.to_thread(drop_index, instance.settings)


def _description(server: Server, instance: scratch_instance.Scratch, folder: Path) -> dict[str, object]:
    values = instance.settings
    base = f"http://{values.http.host}:{server.http_port}"
    return {
        "pid": os.getpid(),
        "data": str(folder),
        "http": base,
        "dicomweb": f"{base}/dicomweb",
        "fhir": f"{base}/fhir",
        "dicom": {"host": values.dicom.host, "port": server.dicom_port, "ae_title": values.dicom.ae_title},
        "mllp": {"host": values.mllp.host, "port": server.mllp_port},
        "providers": [
            {
                "hsa_id": provider.hsa_id,
                "name": provider.name,
                "units": [unit.hsa_id for unit in provider.unit],
                "ae_titles": [peer.ae_title for peer in provider.dicom_peer],
                "hl7_applications": [source.application for source in provider.hl7_source],
                "tokens": [token.name for token in provider.token],
            }
            for provider in values.provider
        ],
        "tokens": {"systems": instance.system_tokens, "personas": server.issue_persona_tokens()},
        "patients": [
            {"number": number, "name": name, "booked": place < scratch_instance.BOOKED_PERSONS}
            for place, (number, name, _, _) in enumerate(scratch_instance.TEST_PERSONS)
        ],
    }


async def _start(server: Server) -> None:
    """What the operator can mend (a taken port, a folder of somebody else) is told in a line, not in a traceback."""
    try:
        await server.start()
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename else ""
        raise ConfigurationError(
            f"can not start: {where}{problem.strerror or problem}; `samsyn check` tells more"
        ) from problem
    keep_what_has_started()


async def until_told(server: Server, told: asyncio.Event) -> None:
    """Waits for the event of StopSignals, then stops the server cleanly."""
    free_pages = Rounds("free-pages", FreePages().look, LOOK_S)
    free_pages.start()
    await told.wait()
    await free_pages.stop()
    await server.stop()
