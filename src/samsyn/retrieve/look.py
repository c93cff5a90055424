"""What a View shows of a study, remembered while a whole study leaves."""

from dataclasses import dataclass

from samsyn.access.view import View
from samsyn.dicom.document_classes import is_document
from samsyn.model.amendment import Amendment
from samsyn.model.imaging import StoredInstance


@dataclass(frozen=True, slots=True)
class Look:
    """What one View shows of a study, as long as nothing is written."""

    view: View
    state: int | None
    hidden: frozenset[str] | None
    """Instances that rejection notes hide; None = the whole study is hidden."""
    corrections: tuple[Amendment, ...]

    def hides(self, instance: StoredInstance) -> bool:
        """Whether the instance, one of this study, is not shown."""
        if self.hidden is None or instance.sop_instance_uid in self.hidden:
            return True
        return is_document(instance.sop_class_uid) and self.view.withholds_documents(instance.study_uid)
