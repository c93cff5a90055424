"""The receivers that the settings name, each with its outbox."""

import os
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import httpx

from samsyn import limits
from samsyn.clock import Clock
from samsyn.errors import ConfigurationError
from samsyn.exchange.auditing.outbox import Outbox
from samsyn.exchange.auditing.storelog import Names, NationalLog, StoreLog
from samsyn.exchange.auditing.syslog import Repository, SyslogReceiver
from samsyn.settings import AtnaSettings, Settings, StoreLogSettings
from samsyn.store.store import Store


def make_outboxes(settings: Settings, store: Store, clock: Clock, names: Names) -> tuple[Outbox, ...]:
    """One outbox for each receiver that is configured. ConfigurationError: a certificate can not be used."""
    made: list[Outbox] = []
    if settings.storelog.url:
        made.append(Outbox(store, clock, _national_log(settings.storelog, names)))
    if settings.atna.host:
        made.append(Outbox(store, clock, _repository(settings.atna)))
    return tuple(made)


def delivery_figures(outboxes: Sequence[Outbox]) -> list[tuple[str, str, float]]:
    """(name, meaning, value) of what the metrics tell about each receiver."""
    return [
        (f"audit_{each.name}_{name}", text, float(value))
        for each in outboxes
        for name, text, value in (
            ("waiting", "Audit entries that the receiver has not got yet", each.waiting),
            ("delivered_total", "Audit entries delivered to the receiver", each.delivered),
            ("set_aside_total", "Audit entries that the receiver refused", each.excepted),
            ("failures", "Calls without a usable answer since the last good one", each.failures),
        )
    ]


def _national_log(settings: StoreLogSettings, names: Names) -> StoreLog:
    http = httpx.AsyncClient(
        trust_env=False,
        timeout=limits.NATIONAL_TIMEOUT_S,
        verify=_tls(settings) if settings.url.startswith("https:") else True,
    )
    address = NationalLog(
        settings.url, settings.logical_address, settings.system_id, "Samsyn", settings.resource_type
    )
    return StoreLog(http, address, names)


def _repository(settings: AtnaSettings) -> SyslogReceiver:
    tls = _tls(settings) if settings.tls else None
    repository = Repository(settings.host, settings.port, settings.source_id, tls)
    return SyslogReceiver(repository, socket.gethostname()[:255] or "-", str(os.getpid()))


def _tls(settings: StoreLogSettings | AtnaSettings) -> ssl.SSLContext:
    """TLS 1.2 or later, the other side proved by `ca_file` or the machine's own authorities, we by our certificate."""
    file: Path | None = settings.ca_file
    try:
        context = ssl.create_default_context(cafile=file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        file = settings.certificate_file
        if file is not None:
            context.load_cert_chain(file, settings.key_file)
    except (OSError, ssl.SSLError) as problem:
        raise ConfigurationError(f"{file} or its key can not be used: {problem}") from problem
    return context
