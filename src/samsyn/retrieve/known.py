"""What a Retriever remembers of stored objects; the same for every reader, and dropped when bodies change."""

from collections import OrderedDict
from dataclasses import dataclass

from samsyn.dicom.document_classes import is_document
from samsyn.model.imaging import StoredInstance
from samsyn.store.objects.manifest import FrameTable


@dataclass(frozen=True, slots=True)
class KnownStudy:
    """The instances of a study, in order."""

    instances: list[StoredInstance]
    by_uid: dict[str, StoredInstance]
    documents: frozenset[str]
    """Series with a document among their instances: the whole series is a document for whoever may not read those."""


def known_study(instances: list[StoredInstance]) -> KnownStudy:
    """What is remembered of these instances, which are all of one study."""
    return KnownStudy(
        instances,
        {each.sop_instance_uid: each for each in instances},
        frozenset(each.series_uid for each in instances if is_document(each.sop_class_uid)),
    )


class KnownObjects:
    """Instances of studies and frame tables of instances, as they were read."""

    def __init__(self) -> None:
        self.studies: OrderedDict[str, KnownStudy] = OrderedDict()
        self.tables: OrderedDict[str, FrameTable] = OrderedDict()

    def forget(self, study_uid: str) -> None:
        """Drops a study whose bodies have changed (a steward's correction)."""
        known = self.studies.pop(study_uid, None)
        for instance in known.instances if known else ():
            self.tables.pop(instance.sop_instance_uid, None)
