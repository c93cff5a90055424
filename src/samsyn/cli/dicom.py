"""`samsyn dicom echo`: whether the configured DICOM destinations can be reached and take us."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from samsyn import settings
from samsyn.clock import SystemClock
from samsyn.dicom.transfer_syntaxes import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from samsyn.errors import SamsynError
from samsyn.exchange.pool import AssociationPool
from samsyn.exchange.security import caller_context
from samsyn.providers.connections import Connections, Destination
from samsyn.wire.dimse import VERIFICATION_UID

_CONTEXTS = [(VERIFICATION_UID, (IMPLICIT_LITTLE, EXPLICIT_LITTLE))]


def echo(config: Path | None, titles: Sequence[str]) -> int:
    """Prints one line for each destination, or for those with these AE titles; 0 = all answer."""
    values = settings.load(config)
    connections = Connections(values)
    destinations = [
        each
        for provider in connections.providers
        for each in connections.destinations_of(provider.hsa_id)
        if not titles or each.ae_title in titles
    ]
    for title in sorted(set(titles) - {each.ae_title for each in destinations}):
        print(f"✗ {title}: no dicom_peer with this ae_title and a host stands in the settings")
    if not destinations and not titles:
        print("✗ no dicom_peer has a host: nothing to call")
    pool = AssociationPool(SystemClock(), values.dicom.ae_title, caller_context(values.dicom_tls))
    answered = asyncio.run(_all(pool, destinations))
    return 0 if destinations and all(answered) and len(answered) >= len(set(titles)) else 1


async def _all(pool: AssociationPool, destinations: Sequence[Destination]) -> list[bool]:
    return [await _one(pool, each) for each in destinations]


async def _one(pool: AssociationPool, destination: Destination) -> bool:
    where = f"{destination.ae_title} at {destination.host}:{destination.port}"
    where += " by TLS" if destination.tls else ""
    begun = time.monotonic()
    try:
        async with await pool.connect(destination, _CONTEXTS) as requestor:
            status = (await requestor.echo()).status
    except SamsynError as problem:
        print(f"✗ {where}: {problem.detail or problem.sentence}{_hint(problem.detail)}")
        return False
    if status:
        print(f"✗ {where}: answers the C-ECHO with {status:04X}H")
        return False
    print(f"✓ {where}: answers in {(time.monotonic() - begun) * 1000:.0f} ms")
    return True


def _hint(detail: str) -> str:
    """What the peer's people have to look at (PS3.8 Table 9-21)."""
    for marks, hint in (
        ("source 1 reason 3", "; it does not know our AE title"),
        ("source 1 reason 7", "; it does not go by this AE title"),
        ("source 3", "; it is busy, or takes no more associations"),
    ):
        if marks in detail:
            return hint
    return ""
