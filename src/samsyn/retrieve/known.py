"""What a Retriever remembers of stored objects; the same for every reader, and dropped when bodies change."""

from collections import OrderedDict

from samsyn.model.imaging import StoredInstance
from samsyn.store.objects.manifest import FrameTable


class KnownObjects:
    """Instances of studies and frame tables of instances, as they were read."""

    def __init__(self) -> None:
        self.studies: OrderedDict[str, tuple[list[StoredInstance], dict[str, StoredInstance]]] = OrderedDict()
        self.tables: OrderedDict[str, FrameTable] = OrderedDict()

    def forget(self, study_uid: str) -> None:
        """Drops a study whose bodies have changed (a steward's correction)."""
        known = self.studies.pop(study_uid, None)
        for instance in known[0] if known else ():
            self.tables.pop(instance.sop_instance_uid, None)
