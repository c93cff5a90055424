"""A real S3-compatible object store on loopback, and a proxy before it that makes faults."""

import secrets
from collections.abc import Iterator

import pytest

from samsyn.store.objects.s3 import S3Objects
from samsyn_demo.cluster import object_server
from samsyn_demo.cluster.object_server import ObjectServer
from tests.objects.fault_proxy import FaultProxy


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """One SeaweedFS for all tests of the run."""
    if not object_server.is_installed():
        pytest.skip("SeaweedFS is not installed (requirements-dev)")
    server = object_server.start(tmp_path_factory.mktemp("object-store"))
    try:
        S3Objects(server.endpoint, "samsyn-test", server.access_key, server.secret_key).probe()
        yield server
    finally:
        server.stop()


@pytest.fixture
def proxy(object_store: ObjectServer) -> Iterator[FaultProxy]:
    proxy = FaultProxy(object_store.port)
    try:
        yield proxy
    finally:
        proxy.close()


@pytest.fixture
def behind_proxy(object_store: ObjectServer, proxy: FaultProxy) -> S3Objects:
    """Objects that are reached through the proxy; each test has a prefix of its own."""
    return S3Objects(
        proxy.endpoint,
        "samsyn-test",
        object_store.access_key,
        object_store.secret_key,
        prefix=f"t{secrets.token_hex(8)}",
        timeout_s=2.0,
    )
