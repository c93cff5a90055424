"""Where the truth of one store lies: a folder of this machine, or an object store that nodes share."""

from dataclasses import dataclass
from pathlib import Path

from samsyn.store.journal import Journal
from samsyn.store.journal_port import AnyJournal
from samsyn.store.node_journal import NodeJournal
from samsyn.store.object_journal import ObjectJournal
from samsyn.store.objects.port import Objects
from samsyn.store.objects.remote_series import RemoteSeries
from samsyn.store.objects.series_objects import SeriesObjects
from samsyn.store.peers import Peers


@dataclass(frozen=True, slots=True)
class Places:
    """Journal and series objects, opened."""

    journal: AnyJournal
    series: SeriesObjects

    def close(self) -> None:
        """Lets go of both."""
        self.series.close()
        self.journal.close()


@dataclass(frozen=True, slots=True)
class OwnJournal:
    """That a node syncs its journal to its own disk."""

    number: int
    """The node's number."""
    peers: Peers


def open_places(
    folder: Path, second_copy: Path | None, objects: Objects | None, own: OwnJournal | None = None
) -> Places:
    """The truth in the data folder, or with `objects` there; the folder is then the node's own workshop, and with
    `own` it holds the node's latest records."""
    if objects is None:
        return Places(Journal(folder / "journal", second_copy), SeriesObjects(folder / "objects"))
    journal = ObjectJournal(objects, folder)
    if own is not None:
        journal = NodeJournal(objects, folder, own.number, own.peers)
    return Places(journal, RemoteSeries(objects, folder / "workshop"))
