"""Putting what happened to a study into the change feed. Runs inside the writer's serial section."""

from collections.abc import Sequence

from samsyn.model.changes import ChangeKind
from samsyn.store.transaction import Transaction


def tell(
    transaction: Transaction,
    kind: ChangeKind,
    study_uid: str,
    code: str = "",
    named: Sequence[str] = (),
    instances: int = 0,
) -> None:
    """One row, in the record of what happened. `named`: instances, attributes or studies, as the kind has it."""
    transaction.insert(
        "change",
        kind=kind.value,
        study_uid=study_uid,
        series_uid="",
        bucket="",
        instances=instances,
        told=transaction.time,
        detail=f"{code} {' '.join(named)}",
    )
