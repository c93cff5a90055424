"""A store as the settings say: where its truth lies, and which database keeps its index."""

import hmac
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from samsyn import limits
from samsyn.clock import Clock
from samsyn.errors import ConfigurationError, OutOfResources
from samsyn.settings import Settings
from samsyn.settings.cluster import ObjectsSettings
from samsyn.store.index.port import Index, IndexConnection, IndexFault
from samsyn.store.index.sqlite import SqliteIndex
from samsyn.store.objects.port import Objects
from samsyn.store.objects.sealed import SealedObjects
from samsyn.store.objects.series_objects import SeriesObjects
from samsyn.store.peers import Peers
from samsyn.store.places import OwnJournal
from samsyn.store.shared.port import SharedState
from samsyn.store.store import Store

if TYPE_CHECKING:
    from samsyn.store.index.postgresql.index import PostgresIndex

_SECRET_CHARACTERS: Final = 32


def open_store(values: Settings, clock: Clock, shared: SharedState | None = None) -> Store:
    """The store, up to date with its journal. `shared`: what the nodes share, needed for a node's own journal.

    ConfigurationError, DamagedData; OutOfResources: the object store does not answer.
    """
    data = values.data
    remote, index = open_objects(values.objects), open_index(values)
    return Store(data.folder, clock, data.second_copy, index, remote, own_journal(values, shared))


def own_journal(values: Settings, shared: SharedState | None) -> OwnJournal | None:
    """That the node syncs to its own disk, where the settings say so."""
    if values.node.durability != "own-journal" or shared is None:
        return None
    return OwnJournal(values.node.number, Peers(shared, shared_key(values, "inner")))


def open_index(values: Settings) -> Index | None:
    """The database of the settings; None = the data folder's own file. Nothing is asked yet."""
    return _postgresql(values)


def _postgresql(values: Settings) -> "PostgresIndex | None":
    if values.index.kind == "sqlite":
        return None
    # Its driver, and the object store's below, are loaded where they are used: some MiB that one node does without.
    from samsyn.store.index.postgresql.index import PostgresIndex

    index = values.index
    # With one journal for all nodes there is one place up to which it counts, whoever wrote last.
    journal = "shared" if values.node.durability == "object-store" else values.node.name
    return PostgresIndex(index.address, journal, secret_in(index.password_file) or None, index.schema_name)


@contextmanager
def asking(values: Settings) -> Iterator[IndexConnection | None]:
    """A reader of the index, which a service may have open; None where there is no index of this program yet.

    IndexFault: the database can not be asked.
    """
    index: Index = open_index(values) or SqliteIndex(values.data.folder / "index.sqlite")
    objects = SeriesObjects(values.data.folder / "objects")
    try:
        if index.is_there() and index.is_of_this_version():
            with closing(index.open_reader(objects)) as connection:
                yield connection
        else:
            yield None
    finally:
        index.close()
        objects.close()


def index_complaints(values: Settings) -> list[str]:
    """What keeps the database of the settings from being used, in sentences for the operator."""
    index = _postgresql(values)
    if index is None:
        return []
    try:
        return index.complaints()
    except IndexFault as problem:
        return [f"{problem}: look at [index] address and password_file, and whether the database runs"]
    finally:
        index.close()


def drop_index(values: Settings) -> None:
    """Takes the index's schema away from the database, with what nodes shared beside it. Nobody may have it open."""
    index = _postgresql(values)
    if index is not None:
        index.drop()
        index.close()


def open_shared(values: Settings) -> SharedState | None:
    """What the nodes of the settings share beside the record; None = there is one node."""
    if values.index.kind == "sqlite":
        return None
    from samsyn.store.shared.postgresql import PostgresState

    index = values.index
    return PostgresState(index.address, secret_in(index.password_file) or None, index.schema_name)


def shared_key(values: Settings, use: str) -> bytes:
    """32 bytes for one use that follow from the nodes' secret; empty where there is one node."""
    if values.node.secret_file is None:
        return b""
    secret = secret_in(values.node.secret_file)
    if len(secret) < _SECRET_CHARACTERS:
        raise ConfigurationError(f"[node] secret_file {values.node.secret_file} holds no 32 characters")
    return hmac.digest(secret.encode(), f"samsyn {use}".encode(), "sha256")


def open_objects(values: ObjectsSettings) -> Objects | None:
    """The object store, tried; None = everything lies in the data folder.

    OutOfResources: it does not answer. ConfigurationError: it answers and can not be used. Both say where and why.
    """
    if values.kind == "folder":
        return None
    from samsyn.store.objects.s3 import S3Objects

    objects = S3Objects(
        values.endpoint,
        values.bucket,
        secret_in(values.access_key_file),
        secret_in(values.secret_key_file),
        values.prefix,
        values.region,
        values.ca_file.read_text(encoding="ascii") if values.ca_file is not None else "",
    )
    where = f"[objects] {values.endpoint}, bucket {values.bucket}"
    try:
        objects.probe()
    except OutOfResources as problem:
        raise OutOfResources(
            f"{where}: {problem.detail}; look whether it runs and whether this machine reaches that address"
        ) from problem
    except ConfigurationError as problem:
        raise ConfigurationError(
            f"{where}: {problem.detail}; look at bucket, access_key_file and secret_key_file"
        ) from problem
    return SealedObjects(objects, values.cache_mib * limits.MIB)


def secret_in(file: Path | None) -> str:
    """What a file of the settings holds, without the end of its line. ConfigurationError: it can not be read."""
    try:
        return file.read_text(encoding="utf-8").strip() if file is not None else ""
    except OSError as problem:
        raise ConfigurationError(f"{file}: {problem.strerror}") from problem
