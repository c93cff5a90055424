"""A whole cluster on loopback for fault tests: PostgreSQL, an object store, two nodes, a browser."""

import asyncio
import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bench.cluster import SENDER
from samsyn_demo.cluster import database_server, object_server
from samsyn_demo.cluster.nodes import Node, Shared, make_node
from samsyn_demo.region import REGION
from tests.faults.test_kill import TOKEN

BENCH = f"""{SENDER}[[provider.hl7_source]]
application = "NORDRIS"
[[provider.token]]
name = "checker"
sha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"
"""


@dataclass
class Cluster:
    shared: Shared
    nodes: tuple[Node, Node]

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """What the database says."""

        async def asked() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.shared.database.address)
            try:
                return [tuple(row) for row in await connection.fetch(sql)]
            finally:
                await connection.close()

        return asyncio.run(asked())


@contextmanager
def a_cluster(folder: Path, durability: str = "object-store") -> Iterator[Cluster]:
    """Two nodes that run; everything is ended behind them."""
    if not (database_server.is_installed() and object_server.is_installed()):
        pytest.skip("PostgreSQL and SeaweedFS are not installed (requirements-dev)")
    objects = object_server.start(folder / "objects")
    try:
        database = database_server.start(folder / "database")
        try:
            tokens = {each.stow_client: secrets.token_urlsafe(32) for each in REGION if each.stow_client}
            shared = Shared(folder, database, objects, tokens, durability=durability, more=BENCH)
            one, two = make_node(shared, "one"), make_node(shared, "two")
            try:
                one.start()
                two.start()
                yield Cluster(shared, (one, two))
                assert [one.stop(), two.stop()] == [0, 0]
            finally:
                one.kill()
                two.kill()
        finally:
            database.stop()
    finally:
        objects.stop()
