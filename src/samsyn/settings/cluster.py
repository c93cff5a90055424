"""Settings of the scale-out form: which database keeps the index, where objects lie, and which node this is."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from samsyn.settings.section import Section, outgoing_address


def _database(address: str) -> str:
    parts = urlsplit(address)
    if address and (parts.scheme not in ("postgresql", "postgres") or not parts.hostname or parts.password):
        raise ValueError("an address like postgresql://user@host/database, without the password in it")
    return address


class IndexSettings(Section):
    """The database that keeps the index: a file of the data folder, or PostgreSQL, which several nodes share."""

    kind: Literal["sqlite", "postgresql"] = Field(
        default="sqlite", description="sqlite = in the data folder; postgresql = in a database."
    )
    address: Annotated[str, AfterValidator(_database)] = Field(
        default="",
        description="postgresql: postgresql://user@host:port/database; ?sslmode=verify-full beyond this machine.",
    )
    password_file: Path | None = Field(default=None, description="postgresql: file that holds the password.")
    schema_name: str = Field(
        default="samsyn",
        pattern=r"^[a-z_][a-z0-9_]{0,40}$",
        description="postgresql: the schema (name space) of this cluster alone; it is made.",
    )

    @model_validator(mode="after")
    def _is_whole(self) -> "IndexSettings":
        if self.kind == "postgresql" and not self.address:
            raise ValueError("kind = 'postgresql' needs an address")
        return self


class ObjectsSettings(Section):
    """Where the journal's batches and the settled series lie: in the data folder, or in an object store."""

    kind: Literal["folder", "s3"] = Field(
        default="folder", description="folder = in the data folder; s3 = in an S3-compatible object store."
    )
    endpoint: Annotated[str, AfterValidator(outgoing_address)] = Field(
        default="", description="s3: address of the object store; plain http on loopback only."
    )
    bucket: str = Field(default="", description="s3: the bucket, which must be there.")
    prefix: str = Field(
        default="", description="s3: folder inside the bucket; empty = the whole bucket is ours."
    )
    region: str = Field(default="us-east-1", description="s3: region that goes into the signature.")
    access_key_file: Path | None = Field(default=None, description="s3: file that holds the access key id.")
    secret_key_file: Path | None = Field(default=None, description="s3: file that holds the secret key.")
    ca_file: Path | None = Field(
        default=None, description="s3: who vouches for it (PEM), besides the system's list."
    )
    cache_mib: int = Field(
        default=64, ge=0, le=65_536, description="s3: blocks read from it that are kept in memory."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> "ObjectsSettings":
        if self.kind == "s3" and not (
            self.endpoint and self.bucket and self.access_key_file and self.secret_key_file
        ):
            raise ValueError("kind = 's3' needs endpoint, bucket, access_key_file and secret_key_file")
        return self


class NodeSettings(Section):
    """This process among those that share an index and an object store."""

    name: str = Field(
        default="",
        pattern=r"^([a-z0-9][a-z0-9-]{0,31})?$",
        description="Name of this node, of its own among the nodes and the same after each restart.",
    )
    number: int = Field(
        default=0,
        ge=0,
        le=999,
        description="own-journal: number of this node, 1 to 999, of its own among the nodes and never another's.",
    )
    inner_address: Annotated[str, AfterValidator(outgoing_address)] = Field(
        default="",
        description="own-journal: address at which the other nodes reach this one's web listener; empty = loopback.",
    )
    secret_file: Path | None = Field(
        default=None,
        description="File with a secret of 32 characters or more that all nodes share: it names patients in forms.",
    )
    durability: Literal["object-store", "own-journal"] = Field(
        default="object-store",
        description="When a sender gets its answer: object-store = a batch lies in the object store; own-journal = it"
        " is synced to this node's own disk and goes to the object store some seconds later. Then what a node took"
        " just before it was lost is away until its disk is back.",
    )
    lease_s: float = Field(
        default=15.0,
        ge=2,
        le=300,
        description="After so long without a sign of life a node's work is taken over by another one.",
    )


def refuse_unsafe(index: IndexSettings, objects: ObjectsSettings, node: NodeSettings) -> None:
    """ValueError when the three together would lose bytes, or tell nodes apart that are one."""
    if index.kind == "postgresql" and not (node.name and node.secret_file):
        raise ValueError("nodes that share an index need [node] name and secret_file")
    if index.kind == "postgresql" and objects.kind == "folder":
        raise ValueError(
            "nodes that share an index need [objects] kind = 's3': bytes must not end with a node"
        )
    own = node.durability == "own-journal" and objects.kind == "s3"
    if own and not (index.kind == "postgresql" and node.number):
        raise ValueError("[node] durability = 'own-journal' needs [index] kind = 'postgresql' and a number")
