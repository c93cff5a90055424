"""`samsyn check`: what is wrong with an installation, and how to mend it."""

import fcntl
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

import samsyn
from samsyn import limits, settings
from samsyn.cli import check_stored
from samsyn.errors import ConfigurationError, OutOfResources
from samsyn.exchange.security import listener_context
from samsyn.settings import Settings, TlsListenerSettings
from samsyn.store.cut_off import kept_aside
from samsyn.store.index import engagement_rows, upkeep_rows
from samsyn.store.index.port import FAULTS, IndexConnection
from samsyn.store.opening import asking, index_complaints, open_objects, shared_key

_RENEWAL: Final = timedelta(days=30)
"""How long before its end a certificate is named: an authority may take weeks."""


def run(config: Path | None, *, stored: bool = False, hashes: bool = False) -> int:
    """Prints one line per finding; 0 = all is well. `stored`: what is stored is compared, too; `hashes`: and read."""
    try:
        values = settings.load(config)
    except ConfigurationError as problem:
        print(f"✗ settings: {problem.detail}")
        return 1
    findings = [
        *_folder(values),
        *_secrets(values),
        *_anchors(values),
        *_tls(values),
        *_disk(values),
        *_index(values),
        *_cut_off(values.data.folder),
        *_elsewhere(values),
        *_parts(),
        *_providers(values),
    ]
    if not _is_served(values.data.folder):
        findings += _ports(values)
    if not findings:
        print("✓ settings, data folder, disk, ports and parts are fine")
    notes: list[str] = []
    if stored or hashes:
        wrong, notes = check_stored.findings(values, hashes=hashes)
        findings += wrong
    for finding in findings:
        print(f"✗ {finding}")
    for note in notes:
        print(f"· {note}")
    return 1 if findings else 0


def _folder(values: Settings) -> Iterator[str]:
    folder = values.data.folder
    if not folder.exists():
        parent = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        if not os.access(parent, os.W_OK):
            yield f"data folder {folder} can not be made: {parent} is not writable; change its owner"
        return
    if not folder.is_dir():
        yield f"data folder {folder} is a file; choose another [data] folder"
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield f"data folder {folder} is not writable for this user; change its owner"
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        yield f"data folder {folder} can be read by others; run: chmod 700 {folder}"


def _is_served(folder: Path) -> bool:
    """Whether a running service holds the data folder: then the ports are taken by that one."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _secrets(values: Settings) -> Iterator[str]:
    for name, file in (
        ("[login] client_secret_file", values.login.client_secret_file),
        ("[audit] anchor_key_file", values.audit.anchor_key_file),
        ("[storelog] key_file", values.storelog.key_file),
        ("[atna] key_file", values.atna.key_file),
        ("[index] password_file", values.index.password_file),
        ("[objects] access_key_file", values.objects.access_key_file),
        ("[objects] secret_key_file", values.objects.secret_key_file),
        ("[node] secret_file", values.node.secret_file),
        ("[engagement_index] key_file", values.engagement_index.key_file),
    ):
        if file is None:
            continue
        try:
            mode = stat.S_IMODE(file.stat().st_mode)
        except OSError as problem:
            yield f"{name} {file} can not be read ({problem.strerror})"
            continue
        if mode & 0o077:
            yield f"{name} {file} can be read by others; run: chmod 600 {file}"


def _tls(values: Settings) -> Iterator[str]:
    for section, tls in _tls_listeners(values):
        try:
            listener_context(tls, section)
        except ConfigurationError as problem:
            yield problem.detail
        else:
            yield from _validity(section, tls)


def _tls_listeners(values: Settings) -> Iterator[tuple[str, TlsListenerSettings]]:
    """Those that are on."""
    for section, tls in (
        ("dicom_tls", values.dicom_tls),
        ("http_tls", values.http_tls),
        ("mllp_tls", values.mllp_tls),
    ):
        if tls.is_on:
            yield section, tls


def _validity(section: str, tls: TlsListenerSettings) -> Iterator[str]:
    """No peer takes a certificate outside its time, and it takes days to get another."""
    assert tls.certificate is not None
    certificate = x509.load_pem_x509_certificate(tls.certificate.read_bytes())
    now, until = datetime.now(UTC), certificate.not_valid_after_utc
    if now < certificate.not_valid_before_utc:
        yield (
            f"[{section}] certificate {tls.certificate} is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M}"
            " UTC on only: is this machine's clock right?"
        )
    elif until < now:
        yield f"[{section}] certificate {tls.certificate} has expired on {until:%Y-%m-%d}: get a new one"
    elif until < now + _RENEWAL:
        yield f"[{section}] certificate {tls.certificate} expires on {until:%Y-%m-%d}: get a new one before"


def _anchors(values: Settings) -> Iterator[str]:
    """A demo needs none; where real people log in, a journal without anchors can be cut off unnoticed."""
    file = values.audit.anchor_file
    if file is None:
        if values.login.provider != "demo":
            yield (
                "[audit] anchor_file is not set: an audit journal whose end was cut off would not be found;"
                " name a file on another disk or machine"
            )
    elif file.absolute().is_relative_to(values.data.folder.absolute()):
        yield f"[audit] anchor_file {file} lies inside the data folder: choose another disk"
    elif not os.access(file if file.exists() else file.absolute().parent, os.W_OK):
        yield f"[audit] anchor_file {file} can not be written: change the owner of its folder"


def _disk(values: Settings) -> Iterator[str]:
    folder = values.data.folder.absolute()
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(existing).free
    if free < 4 * limits.DISK_RESERVE_BYTES:
        yield (
            f"only {free // limits.MIB} MiB free on the data folder's disk; intake stops at"
            f" {limits.DISK_RESERVE_BYTES // limits.MIB} MiB: free space or move [data] folder"
        )


def _index(values: Settings) -> list[str]:
    """The index's database, and what stands in it. A file that can not be read is made anew at the next start."""
    found = index_complaints(values)
    if found:
        return found
    try:
        with asking(values) as connection:
            return [*_damage(connection), *_engagements(values, connection)]
    except FAULTS:
        return [*_engagements(values, None)]


def _damage(connection: IndexConnection | None) -> Iterator[str]:
    count = upkeep_rows.damage_count(connection) if connection is not None else 0
    if count:
        yield (
            f"{count} stored bodies are damaged and not served: stop the service, run `samsyn scrub` to have them"
            " named, and mend them from a copy of the data folder ([data] second_copy)"
        )


def _cut_off(folder: Path) -> Iterator[str]:
    for file in kept_aside(folder):
        facts = file.stat()
        when = datetime.fromtimestamp(facts.st_mtime, UTC)
        yield (
            f"a start has cut {facts.st_size} bytes off the journal at {when:%Y-%m-%d %H:%M} UTC and kept them in"
            f" {file}: find out whether something acknowledged is missing, as docs/storage.md tells ('When a start has"
            " kept something aside'), and move the file away"
        )


def _engagements(values: Settings, connection: IndexConnection | None) -> Iterator[str]:
    """A source system that nobody is told of is never asked."""
    if not values.engagement_index.address:
        return
    if not any(provider.source_system for provider in values.provider):
        yield "[engagement_index] is set but no provider has a source_system: nothing would be told"
    waiting, refused = engagement_rows.counts(connection) if connection is not None else (0, 0)
    if refused:
        yield (
            f"the engagement index has refused {refused} engagements: look for engagement-refused in the log;"
            " they are tried again every day"
        )
    if waiting > limits.ENGAGEMENT_BACKLOG:
        yield (
            f"{waiting} persons' changes wait for the engagement index: is [engagement_index] address right, and"
            " does it answer?"
        )


def _elsewhere(values: Settings) -> Iterator[str]:
    """The object store is written to and read."""
    try:
        objects = open_objects(values.objects)
        if objects is not None:
            objects.close()
    except (ConfigurationError, OutOfResources) as problem:
        yield problem.detail
    try:
        shared_key(values, "check")
    except ConfigurationError as problem:
        yield problem.detail


def _ports(values: Settings) -> Iterator[str]:
    taken: dict[int, str] = {}
    for name, host, port in (
        ("dicom", values.dicom.host, values.dicom.port),
        ("http", values.http.host, values.http.port),
        ("mllp", values.mllp.host, values.mllp.port),
        *((section, tls.host, tls.port) for section, tls in _tls_listeners(values)),
    ):
        if port and port in taken:
            yield f"[{name}] port {port} is that of [{taken[port]}] too: choose another port"
            continue
        taken[port] = name
        try:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as problem:
            yield (
                f"[{name}] port {port} on {host} can not be used ({problem.strerror}): stop what uses it"
                " or choose another port"
            )


def _parts() -> Iterator[str]:
    vendor = Path(samsyn.__file__).parent / "static" / "vendor"
    for name in ("designsystemet/index.css", "htmx/htmx.min.js", "ohif/index.html"):
        if not (vendor / name).exists():
            yield f"the browser part {name.partition('/')[0]} is not installed: run `make setup`"


def _providers(values: Settings) -> Iterator[str]:
    if not values.provider:
        yield "no [[provider]] is connected: nothing can be sent or read; see `samsyn config`"
    for provider in values.provider:
        if provider.images_in and not provider.dicom_peer and not provider.token:
            yield f"provider {provider.name} gives images but has no dicom_peer and no token"
        if provider.texts_in and not provider.hl7_source:
            yield f"provider {provider.name} gives texts but has no hl7_source (set texts_in = false if so)"
