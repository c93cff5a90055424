"""What the law costs: opening a View, and the audit entry before the first byte.

In this process, on the rooms themselves with a real store on the disk, since a server's own share would hide it.
`python -m bench.access_cost` measures this alone.
"""

import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from bench.measure import Bench
from samsyn.access.facts import Choices
from samsyn.access.view import Gatekeeper
from samsyn.cli.memory import keep_what_has_started
from samsyn.clock import SystemClock
from samsyn.model.predicate import Item
from samsyn.model.subject import Assignment, Purpose, Right, Scope, Subject, SubjectKind
from samsyn.reports.examination import History
from samsyn.store.index import instance_rows
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

DOCUMENTS, BLOCKS, PROVIDERS = 2_000, 500, 40
READERS = 8
OWN = ("SE9990000004-0001", "SE9990000004-1001")


def access_cost(bench: Bench) -> None:
    """Opening a View for a large patient, its history, and the audit entry under parallel readers."""
    found = asyncio.run(_measured(bench.scaled(400), bench.scaled(250)))
    for title, goal, times, share in (
        (f"a View: {DOCUMENTS:,} documents, {BLOCKS} blocks, p95", "< 10 ms", found.opened, 0.95),
        ("the history under that View, p95", "", found.history, 0.95),
        (f"the audit entry before the first byte, {READERS} readers, p99", "< 20 ms", found.entries, 0.99),
    ):
        bench.row(title, "ms", goal).values["Samsyn"].append(percentile(times, share) * 1e3)
    bench.rows[-3].cpu_ms["Samsyn"].append(found.opening_cpu_s * 1e3)


@dataclass(frozen=True, slots=True)
class Found:
    """Seconds of each opening of a View made anew, of each history read, and of each audit entry; and the CPU time
    of an opening, which a busy machine does not change."""

    opened: list[float]
    history: list[float]
    entries: list[float]
    opening_cpu_s: float


def percentile(times: list[float], share: float) -> float:
    """The time within which this share of all was done, in the unit of `times`."""
    return statistics.quantiles(times, n=1_000, method="inclusive")[round(share * 1_000) - 1]


async def _measured(openings: int, entries: int) -> Found:
    folder = Path(tempfile.mkdtemp(prefix="samsyn-bench-"))
    clock = SystemClock()
    store = Store(folder, clock)
    store.start()
    try:
        await store.commit(_fill)
        gatekeeper, history = Gatekeeper(store, clock), History(store)
        readers = [_reader(number) for number in range(READERS)]
        for reader in readers:
            gatekeeper.choices.record(
                reader.session_id,
                frozenset({1}),
                Choices(
                    units_shown=True, units=frozenset("*"), providers_shown=True, providers=frozenset("*")
                ),
            )
        opened, read = [], []
        # As the server does when it has started: what the bench itself has made is none of a View's cost.
        keep_what_has_started()
        before = time.process_time()
        for _ in range(openings):
            gatekeeper.forget_views()
            opened.append(await _timed(lambda: gatekeeper.open_view(readers[0], frozenset({1}))))
        opening_cpu_s = (time.process_time() - before) / openings
        view = await gatekeeper.open_view(readers[0], frozenset({1}))
        for _ in range(max(openings // 10, 8)):
            read.append(await _timed(lambda: history.examinations(view)))
        written: list[float] = []

        async def one_reader(reader: Subject) -> None:
            mine = await gatekeeper.open_view(reader, frozenset({1}))
            for number in range(entries):
                uid = f"2.25.{number % (DOCUMENTS // 4)}"
                asker = replace(mine, subject=replace(reader, session_id=f"{reader.session_id}-{number}"))
                if mine.shows(_item_of(store, uid)):
                    written.append(
                        await _timed(lambda a=asker, u=uid: gatekeeper.record_opening(a, u, "images"))
                    )

        await asyncio.gather(*(one_reader(reader) for reader in readers))
        return Found(opened, read, written, opening_cpu_s)
    finally:
        store.close()
        shutil.rmtree(folder, ignore_errors=True)


def _item_of(store: Store, uid: str) -> Item:
    found = store.peek(lambda connection: instance_rows.study_facts(connection, uid))
    assert found is not None
    return found[1]


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    await work()
    return time.perf_counter() - begun


def _reader(number: int) -> Subject:
    assignment = Assignment(
        "SE9990000004-5001",
        "Uppdrag",
        Purpose.CARE,
        OWN[0],
        "Vårdcentralen Linden",
        OWN[1],
        "Vårdcentralen Linden",
        (Right("Läsa", "UND", Scope.CROSS_PROVIDER.value),),
    )
    return Subject(SubjectKind.STAFF, f"SE9990000004-9{number:03d}", "", assignment, f"bench-{number}")


def _fill(transaction: Transaction) -> None:
    """One patient: a quarter studies, a quarter referrals, half report versions, at forty providers; 500 blocks."""
    now = datetime.fromisoformat(transaction.time)
    key = transaction.next_key("patient")
    transaction.insert("patient", patient_key=key, name="", merged_into=None, origin="", protected=0)
    for number in range(DOCUMENTS // 4):
        provider = f"SE999{number % PROVIDERS:07d}-0001"
        day = 20100101 + (number % 12) * 100 + number % 28
        item = {
            "patient_key": key,
            "provider": provider,
            "unit": f"{provider[:12]}-1{number % 5:03d}",
            "begins": day,
            "ends": day,
        }
        named = {"accession_issuer": provider, "accession": f"A{number}"}
        transaction.insert(
            "study",
            study_key=transaction.next_key("study"),
            study_uid=f"2.25.{number}",
            study_date=str(day),
            study_time="",
            study_id="",
            description="CT thorax",
            referring="",
            modalities="CT",
            series_count=1,
            instance_count=1,
            received=transaction.time,
            **item,
            **named,
        )
        transaction.insert(
            "referral",
            referral_key=transaction.next_key("referral"),
            placer_id=f"R{number}",
            status="reported",
            priority="",
            procedure_code="",
            procedure_text="",
            question="Fråga",
            history="",
            referrer="",
            changed=transaction.time,
            message_key=0,
            **item,
            **named,
        )
        for status in ("preliminary", "final"):
            transaction.insert(
                "report",
                report_key=transaction.next_key("report"),
                filler_id=f"F{number}",
                study_uid="",
                status=status,
                author="",
                signer="",
                procedure_text="",
                text="Utlåtande. " * 40,
                fragment=0,
                reason="",
                received=transaction.time,
                message_key=0,
                **item,
                **named,
            )
    for number in range(BLOCKS):
        provider = f"SE999{number % PROVIDERS:07d}-0001"
        transaction.insert(
            "block",
            block_id=f"b{number}",
            patient_key=key,
            kind="inner" if number % 5 else "outer",
            provider=provider,
            unit=f"{provider[:12]}-1{number % 7:03d}" if number % 5 else "",
            first_day=20100101 + (number % 12) * 100,
            last_day=20100101 + (number % 12) * 100 + number % 9,
            ended=None,
        )
    begins, ends = (now - timedelta(hours=1)).isoformat(), (now + timedelta(days=1)).isoformat()
    here = {"patient_key": key, "provider": OWN[0], "unit": OWN[1], "employee": ""}
    transaction.insert("care_relation", relation_id="r", starts=begins, ends=ends, source="attested", **here)
    transaction.insert(
        "consent",
        consent_id="c",
        ground="consent",
        starts=begins,
        ends=ends,
        channel="visit",
        ended=None,
        **here,
    )


def main() -> None:
    """Measures this alone and prints the three figures."""
    found = asyncio.run(_measured(400, 250))
    opened, history, entries = found.opened, found.history, found.entries
    print(
        f"a View for {DOCUMENTS:,} documents and {BLOCKS} blocks: p50 {percentile(opened, 0.5) * 1e3:.2f} ms,"
        f" p95 {percentile(opened, 0.95) * 1e3:.2f} ms (goal < 10 ms), {len(opened)} openings,"
        f" CPU {found.opening_cpu_s * 1e3:.2f} ms each\n"
        f"the history under it: p50 {percentile(history, 0.5) * 1e3:.1f} ms, p95"
        f" {percentile(history, 0.95) * 1e3:.1f} ms\n"
        f"the audit entry before the first byte, {READERS} parallel readers:"
        f" p50 {percentile(entries, 0.5) * 1e3:.2f} ms, p99 {percentile(entries, 0.99) * 1e3:.2f} ms"
        f" (goal < 20 ms), {len(entries)} entries"
    )


if __name__ == "__main__":
    main()
