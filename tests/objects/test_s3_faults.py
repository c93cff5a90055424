"""An object store that is slow, silent, broken or cut off: nothing is taken for done that is not, and nothing that
was hurt on its way is served."""

import secrets
import time

import pytest

from samsyn import limits
from samsyn.errors import ConfigurationError, DamagedData, OutOfResources, SamsynError, StoreFailed
from samsyn.store.objects.s3 import S3Objects
from samsyn.store.objects.sealed import SealedObjects
from samsyn_demo.cluster.object_server import ObjectServer
from tests.objects.fault_proxy import Fault, FaultProxy

pytestmark = pytest.mark.slow
DATA = secrets.token_bytes(700_000)


@pytest.mark.parametrize(
    "fault", [Fault("status", 500), Fault("status", 503), Fault("hang-up"), Fault("lost-answer")]
)
def test_a_put_that_fails_now_and_then_is_repeated_and_done_once(
    behind_proxy: S3Objects, proxy: FaultProxy, fault: Fault
) -> None:
    proxy.tell(fault, fault)
    behind_proxy.put_new("journal/000000000001", [DATA])
    assert proxy.forget() == 0
    assert behind_proxy.read("journal/000000000001", 0, len(DATA)) == DATA
    assert [each.size for each in behind_proxy.names("journal/")] == [len(DATA)]


@pytest.mark.parametrize("kind", ["status", "hang-up"])
def test_a_put_that_fails_again_and_again_is_refused_in_bounded_time(
    behind_proxy: S3Objects, proxy: FaultProxy, kind: str
) -> None:
    proxy.tell(*[Fault(kind, 503)] * 50)
    began = time.monotonic()
    with pytest.raises(OutOfResources):
        behind_proxy.put_new("journal/000000000001", [DATA])
    assert time.monotonic() - began < limits.OBJECT_RETRY_S + 5
    assert len(proxy.requests) <= 2 * (limits.OBJECT_RETRIES + 1)
    proxy.forget()
    behind_proxy.put_new("journal/000000000001", [DATA])


def test_a_store_that_never_answers_costs_a_deadline(behind_proxy: S3Objects, proxy: FaultProxy) -> None:
    proxy.tell(*[Fault("silence")] * 20)
    began = time.monotonic()
    with pytest.raises(OutOfResources):
        behind_proxy.put_new("journal/000000000001", [DATA])
    with pytest.raises(OutOfResources):
        behind_proxy.read("journal/000000000001", 0, 10)
    took = time.monotonic() - began
    print(f"an object store that is silent: put and read refused after {took:.1f} s")
    assert took < 2 * (limits.OBJECT_RETRY_S + 5)


def test_a_large_put_may_take_longer_than_an_answer_may_stall(
    object_store: ObjectServer, proxy: FaultProxy
) -> None:
    """While it is sent no byte of an answer comes."""
    keys = (object_store.access_key, object_store.secret_key)
    objects = S3Objects(proxy.endpoint, "samsyn-test", *keys, prefix=f"t{secrets.token_hex(8)}")
    data = secrets.token_bytes(limits.OBJECT_PIECE_BYTES + 1)
    proxy.tell(Fault("late", int(limits.OBJECT_STALL_S) + 1))
    objects.put_new("journal/000000000001", [data])
    assert len(proxy.requests) == 1
    assert objects.size("journal/000000000001") == len(data)


def test_a_store_that_is_not_there_is_refused_at_once(object_store: ObjectServer) -> None:
    objects = S3Objects("http://127.0.0.1:9", "b", "k", "s")
    for call in (
        lambda: objects.put_new("a", [b"x"]),
        lambda: objects.read("a", 0, 1),
        lambda: objects.size("a"),
    ):
        with pytest.raises(OutOfResources):
            call()
    with pytest.raises(OutOfResources):
        list(objects.names("a/"))


def test_an_answer_that_drips_is_cut_off_by_the_deadline(behind_proxy: S3Objects, proxy: FaultProxy) -> None:
    behind_proxy.put_new("objects/1", [DATA])
    proxy.tell(*[Fault("drip", 20_000, "GET")] * 10)
    began = time.monotonic()
    with pytest.raises(OutOfResources):
        behind_proxy.read("objects/1", 0, len(DATA))
    assert time.monotonic() - began < limits.OBJECT_RETRY_S + 15


def test_an_answer_that_is_cut_off_is_asked_for_again(behind_proxy: S3Objects, proxy: FaultProxy) -> None:
    behind_proxy.put_new("objects/1", [DATA])
    proxy.tell(Fault("cut", 1000, "GET"))
    assert behind_proxy.read("objects/1", 0, len(DATA)) == DATA
    proxy.tell(*[Fault("cut", 1000, "GET")] * 20)
    with pytest.raises(OutOfResources):
        behind_proxy.read("objects/1", 0, len(DATA))


def test_an_answer_that_claims_to_be_whole_and_is_short_is_refused(
    behind_proxy: S3Objects, proxy: FaultProxy
) -> None:
    behind_proxy.put_new("objects/1", [DATA])
    proxy.tell(Fault("shorter", 1000, "GET"))
    with pytest.raises(SamsynError) as refused:
        behind_proxy.read("objects/1", 0, len(DATA))
    assert isinstance(refused.value, DamagedData | OutOfResources)


def test_a_bit_that_turns_on_the_way_back_is_never_served(behind_proxy: S3Objects, proxy: FaultProxy) -> None:
    objects = SealedObjects(behind_proxy, 0)
    objects.put_new("objects/1", [DATA])
    for place in (0, 300_000, 699_999):
        proxy.tell(Fault("flip-answer", place, "GET"))
        assert objects.read("objects/1", 0, len(DATA)) == DATA  # asked once more
        proxy.tell(Fault("flip-answer", place, "GET"), Fault("flip-answer", place, "GET"))
        with pytest.raises(DamagedData):
            objects.read("objects/1", 0, len(DATA))
    proxy.tell(*[Fault("flip-answer", 5, "GET")] * 2)
    with pytest.raises(DamagedData):
        SealedObjects(behind_proxy, 0).read("objects/1", 0, 10)


def test_a_bit_that_turns_on_the_way_there_is_no_success(behind_proxy: S3Objects, proxy: FaultProxy) -> None:
    for place in (0, 350_000, 699_999):
        proxy.tell(*[Fault("flip-request", place, "PUT")] * 10)
        with pytest.raises(SamsynError) as refused:
            behind_proxy.put_new("objects/1", [DATA])
        assert isinstance(refused.value, OutOfResources | StoreFailed)
        proxy.forget()
        assert behind_proxy.size("objects/1") is None
    behind_proxy.put_new("objects/1", [DATA])


def test_wrong_credentials_are_told_when_the_store_is_opened(object_store: ObjectServer) -> None:
    objects = S3Objects(object_store.endpoint, "samsyn-test", object_store.access_key, "wrong")
    with pytest.raises(ConfigurationError):
        objects.probe()
    S3Objects(object_store.endpoint, "samsyn-test", object_store.access_key, object_store.secret_key).probe()
