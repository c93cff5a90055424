"""What of a study's content a reader is shown, as SQL: neither what rejection notes hide, nor documents that are not
given to a patient yet. One place for searches, counts and lists, so that none tells what another hides."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from samsyn.store.index.port import IndexConnection

_OF_STUDY: Final = "FROM series AS shown WHERE shown.study_key = study.study_key AND"
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Shown:
    """Conditions and columns on `study` and `series`; `documents_of` = None: no documents are withheld."""

    documents_of: tuple[int, ...] | None = None
    """Keys of the only studies whose documents are shown."""

    def series(self, alias: str = "series") -> str:
        """Whether something of the series is shown."""
        is_left = f"{alias}.instance_count > {alias}.hidden_count"
        if self.documents_of is None:
            return is_left
        given = f" OR {alias}.study_key IN ({','.join(map(str, self.documents_of))})"
        return f"({is_left} AND ({alias}.documents = 0{given if self.documents_of else ''}))"

    @property
    def study(self) -> str:
        """Whether something of the study is shown."""
        if self.documents_of is None:
            return "study.instance_count > study.hidden_count"
        return f"EXISTS (SELECT 1 {_OF_STUDY} {self.series('shown')})"

    @property
    def instance(self) -> str:
        """Whether an instance, joined with its series, is shown."""
        is_left = (
            "(series.hidden_count = 0 OR NOT EXISTS (SELECT 1 FROM rejected"
            " WHERE rejected.sop_uid = instance.sop_uid AND arrived = 1 AND revoked = ''))"
        )
        return is_left if self.documents_of is None else f"({is_left} AND {self.series()})"

    @property
    def instances_of_study(self) -> str:
        """Number of instances that are shown."""
        if self.documents_of is None:
            return "study.instance_count - study.hidden_count"
        number = "SUM(shown.instance_count - shown.hidden_count)"
        return f"COALESCE((SELECT {number} {_OF_STUDY} {self.series('shown')}), 0)"

    @property
    def series_of_study(self) -> str:
        """Number of series that are shown."""
        counted = f"(SELECT COUNT(*) {_OF_STUDY} {self.series('shown')})"
        return self._quickly("study.series_count", counted)

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns that tell of the content, by name."""
        modalities = (
            f"COALESCE((SELECT group_concat(modality, '\\') FROM (SELECT DISTINCT modality {_OF_STUDY}"
            f" {self.series('shown')} AND modality <> '' ORDER BY modality)), '')"
        )
        return {
            "modalities": f"{self._quickly('study.modalities', modalities)} AS modalities",
            "series_count": f"{self.series_of_study} AS series_count",
            "instance_count": f"{self.instances_of_study} AS instance_count",
            "series_instances": "series.instance_count - series.hidden_count",
        }

    def with_modality(self, is_one: str) -> str:
        """Whether a series that is shown fulfils the condition, for a study that has such a series."""
        found = f"EXISTS (SELECT 1 {_OF_STUDY} {is_one} AND {self.series('shown')})"
        return f"({found})" if self.documents_of is not None else f"(study.hidden_count = 0 OR {found})"

    def _quickly(self, kept: str, counted: str) -> str:
        """What the study's row keeps, where nothing of the study is hidden."""
        if self.documents_of is not None:
            return counted
        return f"CASE WHEN study.hidden_count = 0 THEN {kept} ELSE {counted} END"


WITH_DOCUMENTS: Final = Shown()
"""For readers from whom no documents are withheld: all but patients."""


def shown_of(connection: IndexConnection, documents_of: frozenset[str] | None) -> Shown:
    """`documents_of`: UIDs of the only studies whose documents are shown, None = all."""
    if documents_of is None:
        return WITH_DOCUMENTS
    uids, keys = sorted(documents_of), list[int]()
    for first in range(0, len(uids), _AT_ONCE):
        part = uids[first : first + _AT_ONCE]
        marks = ",".join("?" * len(part))
        rows = connection.execute(f"SELECT study_key FROM study WHERE study_uid IN ({marks})", part)
        keys += [int(row[0]) for row in rows]
    return Shown(tuple(sorted(keys)))
