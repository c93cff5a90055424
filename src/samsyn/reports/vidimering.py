"""Vidimering: the referrer's own word that a result has been read and taken care of. It is no state of the report.

It holds for exactly what stood on the page: a version that comes later is not vidimerad and asks for it anew.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from samsyn.access.events import Event, entry
from samsyn.access.view import View
from samsyn.audit import journal as audit
from samsyn.errors import Conflict, NotAllowed, NotFound
from samsyn.model.subject import Purpose, SubjectKind
from samsyn.model.texts import Referral, ReportStatus, ReportVersion, Vidimering
from samsyn.reports.order import Arrangement, by_report
from samsyn.store.index.port import IndexConnection
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Vidimerad:
    """What the referrer's unit has said of one report."""

    current: tuple[Vidimering, ...]
    """Of what stands there now, the latest first."""
    former: tuple[Vidimering, ...]
    """Of what stood there before; not of what stands there now."""


def state_mark(arrangement: Arrangement) -> str:
    """Names what stands on the page of one report; it changes whenever another text is shown."""
    keys = sorted(shown.version.version_key for shown in arrangement.shown)
    return hashlib.sha256(".".join(map(str, keys)).encode()).hexdigest()[:24]


def vidimerad(arrangement: Arrangement, words: Iterable[Vidimering]) -> Vidimerad:
    """Those of the words that are about this report, parted by whether they hold for what stands there now."""
    versions = [*(shown.version for shown in arrangement.shown), *arrangement.earlier]
    keys = {version.version_key for version in versions}
    own = sorted(
        (each for each in words if each.version_key in keys), key=lambda each: each.noted, reverse=True
    )
    mark = state_mark(arrangement)
    return Vidimerad(
        tuple(each for each in own if each.mark == mark), tuple(each for each in own if each.mark != mark)
    )


def may_vidimera(view: View, referrals: Iterable[Referral], arrangement: Arrangement) -> bool:
    """Whether the reader is at the unit that referred, and there is something to be vidimerat.

    A preliminary text is not: the result that counts is still to come. An annulment is.
    """
    own = view.subject.assignment
    if view.subject.kind is not SubjectKind.STAFF or own is None or own.purpose is not Purpose.CARE:
        return False
    if not arrangement.shown or arrangement.standing is ReportStatus.PRELIMINARY:
        return False
    unit = (own.provider_hsa_id, own.unit_hsa_id)
    return any((each.provider, each.unit) == unit for each in referrals)


async def vidimera(
    store: Store,
    view: View,
    patient_key: int,
    referrals: Iterable[Referral],
    reports: Iterable[ReportVersion],
    mark: str,
) -> None:
    """Writes down, durable and with its audit entry, that the reader vidimerar the report that `mark` names.

    `referrals` and `reports` are what the View shows of the examination. Once more by the same reader changes
    nothing. Raises NotAllowed (not the referring unit, or preliminary) and Conflict (another text stands there by now:
    it must be read first).
    """
    arrangements = by_report(reports)
    chosen = next((each for each in arrangements if state_mark(each) == mark), None)
    if chosen is None:
        raise Conflict("the report has changed since it was shown")
    if not may_vidimera(view, referrals, chosen):
        raise NotAllowed("vidimering")
    top, reader, own = chosen.shown[0].version, view.subject, view.subject.assignment
    if own is None:
        raise NotFound

    def decide(transaction: Transaction) -> None:
        said = transaction.one(
            "SELECT 1 FROM vidimering WHERE version_key = ? AND mark = ? AND actor = ?",
            top.version_key,
            mark,
            reader.hsa_id,
        )
        if said is not None:
            return
        transaction.insert(
            "vidimering",
            vidimering_key=transaction.next_key("vidimering"),
            patient_key=patient_key,
            version_key=top.version_key,
            mark=mark,
            actor=reader.hsa_id,
            actor_name=reader.name,
            provider=own.provider_hsa_id,
            unit=own.unit_hsa_id,
            unit_name=own.unit_name,
            noted=transaction.time,
        )
        details = {"accession": top.accession, "status": top.status.value}
        audit.append(
            transaction,
            entry(
                reader,
                Event.VIDIMERA,
                patient_key,
                owner_provider=top.provider,
                owner_unit=top.unit,
                details=details,
            ),
        )

    await store.commit(decide)


def words_about(connection: IndexConnection, version_keys: Iterable[int]) -> tuple[Vidimering, ...]:
    """What was said of these versions; the caller has read them through a View."""
    keys = sorted(version_keys)
    if not keys:
        return ()
    rows = connection.execute(
        "SELECT version_key, mark, actor_name, unit_name, noted FROM vidimering"  # noqa: S608 - marks only
        f" WHERE version_key IN ({','.join('?' * len(keys))})",
        keys,
    )
    return tuple(
        Vidimering(row[0], row[1], row[2], row[3], datetime.fromisoformat(row[4])) for row in rows.fetchall()
    )
