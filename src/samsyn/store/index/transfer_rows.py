"""Reads of transfers: what was asked to be sent, and how far it has come."""

from typing import Final

from samsyn.store.index.port import IndexConnection, Row

_COLUMNS: Final = (
    "transfer_id, transfer.patient_key, destination, study_uid, transfer.state, total, sent, failed, why,"
    " requested, changed, series_uid, job.state AS job_state, job.error"
)
_FROM: Final = "transfer LEFT JOIN job ON job.kind = ? AND job.name = transfer.transfer_id"


def of_requester(
    connection: IndexConnection, kind: str, requester: str, provider: str, limit: int
) -> list[Row]:
    """The newest transfers of one requester at one provider, with the state of their jobs of this kind."""
    return connection.execute(
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE requester = ? AND provider = ? ORDER BY requested DESC LIMIT ?",
        (kind, requester, provider, limit),
    ).fetchall()


def one(
    connection: IndexConnection, kind: str, transfer_id: str, requester: str, provider: str
) -> Row | None:
    """One transfer of this requester, or None."""
    row: Row | None = connection.execute(
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE transfer_id = ? AND requester = ? AND provider = ?",
        (kind, transfer_id, requester, provider),
    ).fetchone()
    return row


def unfinished(connection: IndexConnection, requester: str) -> int:
    """How many transfers of a requester are not finished."""
    return int(
        connection.execute(
            "SELECT COUNT(*) FROM transfer WHERE requester = ? AND state IN ('waiting', 'sending')",
            (requester,),
        ).fetchone()[0]
    )
