"""A node is lost while both are sent to: what either has acknowledged is there through the other one, work goes on, and
nobody has to log in again (DESIGN 2, promise 11)."""

import http.client
import os
import random
import signal
import threading
import time
import urllib.error
from collections import Counter

import pytest

from samsyn_demo.cluster.browser import is_in, logged_in
from samsyn_demo.cluster.nodes import Node
from tests.cli.commands import samsyn
from tests.faults.cluster import Cluster, a_cluster
from tests.faults.test_kill import Ledger, check, lost_reports, report_until_cut, store_until_cut

SEED = int(os.environ.get("SAMSYN_SEED", "20261126"))
SECONDS = float(os.environ.get("SAMSYN_CLUSTER_SECONDS", "4"))


def report_until_refused(port: int, cycle: int, ledger: Ledger, stop: threading.Event) -> None:
    """As a RIS that stops at the first AE, which is the answer of a store that can take nothing just now."""
    try:
        report_until_cut(port, cycle, ledger, stop)
    except AssertionError as answer:
        if "MSA|AE|" not in str(answer):
            raise


class Load:
    """Senders of images and texts to one node, until they are cut off or told to stop."""

    def __init__(self, node: Node, source: random.Random, first: int, ledger: Ledger) -> None:
        self.stop = threading.Event()
        ports, seeds = node.ports, [random.Random(source.random()) for _ in range(3)]
        self.threads = [
            threading.Thread(
                target=store_until_cut, args=(ports.dicom, seeds[number], first + number, ledger, self.stop)
            )
            for number in range(3)
        ]
        self.threads.append(
            threading.Thread(target=report_until_refused, args=(ports.mllp, first, ledger, self.stop))
        )
        for thread in self.threads:
            thread.start()

    def ended(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive()


def acknowledged(ledger: Ledger) -> int:
    return sum(len(study) for study in ledger.instances.values())


def until(holds, seconds: float) -> float:  # type: ignore[no-untyped-def]
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.1)
    return time.monotonic() - began


def outcome_of(base: str, ledger: Ledger, study: str) -> str:
    """What a reader gets who asks for a study: "whole" only when every acknowledged instance is in it."""
    try:
        return "whole" if check(base, ledger, {study}) == 0 else "instances are missing"
    except urllib.error.HTTPError as refused:
        return str(refused.code)
    except (http.client.IncompleteRead, ValueError):
        return "cut off"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with a_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.mark.slow
def test_a_lost_node_takes_nothing_with_it(cluster: Cluster) -> None:
    one, two = cluster.nodes
    ledger, source = Ledger(), random.Random(SEED)
    browser = logged_in(one.http)
    assert is_in(browser, two.http)
    loads = [Load(one, source, 100, ledger), Load(two, source, 200, ledger)]
    time.sleep(SECONDS)
    until(lambda: acknowledged(ledger) > 80, 60)
    before = acknowledged(ledger)
    one.kill()
    killed = time.monotonic()
    until(lambda: acknowledged(ledger) > before + 20, 30)
    resumed = time.monotonic() - killed
    time.sleep(SECONDS / 2)
    for load in loads:
        load.ended()

    assert is_in(browser, two.http)
    lost, texts = check(two.http, ledger, set(ledger.instances)), lost_reports(two.http, ledger)
    lease = cluster.shared.lease_s
    duties = "SELECT value FROM samsyn_shared.shared_state WHERE kind = 'duty' AND until > now()"
    until(lambda: {row[0].partition(".")[0] for row in cluster.ask(duties)} == {"two"}, 3 * lease)
    taken_over = time.monotonic() - killed
    until(lambda: cluster.ask("SELECT count(*) FROM samsyn.job WHERE state = 'ready'") == [(0,)], 90)
    print(
        f"\nnode lost (seed {SEED}): {acknowledged(ledger)} instances and {len(ledger.reports)} messages"
        f" acknowledged by two nodes, {lost} and {texts} lost; the other node went on after {resumed:.1f} s, had all"
        f" duties {taken_over:.1f} s after the loss (leases of {lease:.0f} s), and no job is left"
    )
    assert acknowledged(ledger) > 100
    assert (lost, texts) == (0, 0)
    proof = samsyn("audit", "verify", "--config", str(two.config))
    print(proof.stdout.strip())
    assert proof.returncode == 0, proof.stdout

    one.start()
    assert check(one.http, ledger, set(ledger.instances)) == 0
    assert is_in(browser, one.http)


@pytest.mark.slow
def test_what_a_lost_node_has_on_its_own_disk_is_told_as_away_and_is_back_with_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with a_cluster(tmp_path_factory.mktemp("own"), "own-journal") as cluster:
        one, two = cluster.nodes
        ledger, source = Ledger(), random.Random(SEED)
        loads = [Load(one, source, 100, ledger), Load(two, source, 200, ledger)]
        time.sleep(SECONDS)
        until(lambda: acknowledged(ledger) > 80, 60)
        both = set(ledger.instances)
        assert check(two.http, ledger, both) == 0  # bytes that one alone has come over the inner door
        one.kill()
        time.sleep(SECONDS / 2)
        for load in loads:
            load.ended()
        told = Counter(outcome_of(two.http, ledger, study) for study in ledger.instances)
        one.start()
        lost, texts = check(two.http, ledger, set(ledger.instances)), lost_reports(two.http, ledger)
        print(
            f"\nnode with its own journal lost (seed {SEED}): {acknowledged(ledger)} instances and"
            f" {len(ledger.reports)} messages acknowledged; while it was away of {len(ledger.instances)}"
            f" studies {told['whole']} were read whole, {told['503']} answered 503 and {told['cut off']} were cut off;"
            f" with its disk back {lost} and {texts} lost"
        )
        assert told.keys() <= {"whole", "503", "cut off"}
        assert told["whole"] > 0
        assert (lost, texts) == (0, 0)
        assert [one.stop(), two.stop()] == [0, 0]
        proof = samsyn("audit", "verify", "--config", str(two.config))
        print(proof.stdout.strip())
        assert proof.returncode == 0, proof.stdout


@pytest.mark.slow
def test_an_object_store_that_stands_still_refuses_and_takes_nothing_with_it(cluster: Cluster) -> None:
    one, two = cluster.nodes
    ledger, source = Ledger(), random.Random(SEED + 1)
    browser = logged_in(two.http)
    loads = [Load(one, source, 300, ledger), Load(two, source, 400, ledger)]
    time.sleep(2)
    store = cluster.shared.objects.process
    store.send_signal(signal.SIGSTOP)
    try:
        for load in loads:
            load.ended()  # each sender was refused, none hangs
        before = acknowledged(ledger)
        assert is_in(browser, one.http)
    finally:
        store.send_signal(signal.SIGCONT)
    loads = [Load(one, source, 500, ledger), Load(two, source, 600, ledger)]
    until(lambda: acknowledged(ledger) > before + 20, 60)
    for load in loads:
        load.ended()
    lost, texts = check(two.http, ledger, set(ledger.instances)), lost_reports(one.http, ledger)
    print(
        f"\nobject store that stood still (seed {SEED}): {acknowledged(ledger)} instances and {len(ledger.reports)}"
        f" messages acknowledged before and after, {lost} and {texts} lost, no node was started again"
    )
    assert (lost, texts) == (0, 0)
