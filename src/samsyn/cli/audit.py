"""`samsyn audit …`."""

import asyncio
from pathlib import Path

from samsyn import settings
from samsyn.audit import journal
from samsyn.clock import SystemClock
from samsyn.errors import ConfigurationError
from samsyn.store.store import Store


def verify(config: Path | None, data: Path | None) -> int:
    """Checks the chain; 0 = whole, 1 = changed."""
    folder = data or settings.load(config).data.folder
    if not (folder / "journal").is_dir():
        raise ConfigurationError(f"{folder} is no data folder of Samsyn: there is no journal in it")
    store = Store(folder, SystemClock())
    store.start()
    try:
        bad = asyncio.run(journal.verify(store))
    finally:
        store.close()
    if bad is None:
        print("The audit journal is whole.")
        return 0
    print(f"The audit journal was changed: entry {bad} does not fit the chain.")
    return 1
