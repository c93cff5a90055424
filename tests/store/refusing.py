"""An index that refuses what a test wants refused."""

from typing import Any

import pytest

from samsyn.store.index.port import IndexFault
from samsyn.store.store import Store


class RefusingIndex:
    """Stands for the connection of the index's writer; the statements in `refused` fail with `fault`."""

    def __init__(self, store: Store, fault: IndexFault, *refused: str) -> None:
        self.refused = set(refused)
        self._fault = fault
        self._index = store._index

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        if sql in self.refused:
            raise self._fault
        return self._index.execute(sql, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)


def refusing(
    store: Store, monkeypatch: pytest.MonkeyPatch, fault: IndexFault, *statements: str
) -> RefusingIndex:
    """From now on the index refuses these statements, until they are taken out of `refused`."""
    made = RefusingIndex(store, fault, *statements)
    monkeypatch.setattr(store._writer, "_index", made)
    return made
