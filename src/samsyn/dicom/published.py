"""The standard's registries (PS3.6) as pydicom publishes them, without the rest of pydicom.

To import pydicom's package is to load its readers, writers and decoders, 11 MiB of a serving process, for tables that
take three. So each table's module is found in the installed package and executed by itself.
"""

from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import MappingProxyType
from typing import Any


def _table(module_name: str, table: str) -> Any:
    package = find_spec("pydicom")
    assert package is not None, "pydicom is not installed"
    found = PathFinder.find_spec(f"pydicom.{module_name}", package.submodule_search_locations)
    assert found is not None, f"this pydicom has no {module_name}"
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return getattr(module, table)


ELEMENTS: MappingProxyType[int, tuple[str, str]] = MappingProxyType(
    {tag: (entry[0], entry[4]) for tag, entry in _table("_dicom_dict", "DicomDictionary").items()}
)
"""Tag -> (VR, keyword); both may be what no VR is ("US or SS", "NONE"), the keyword of a retired one may be empty."""
REPEATING: MappingProxyType[str, tuple[str, str]] = MappingProxyType(
    {mask: (entry[0], entry[4]) for mask, entry in _table("_dicom_dict", "RepeatersDictionary").items()}
)
"""Elements of repeating groups (PS3.5 7.6): eight hexadecimal digits, x where any may stand -> (VR, keyword)."""
PRIVATE: MappingProxyType[str, dict[str, str]] = MappingProxyType(
    {
        creator: {mask: entry[0] for mask, entry in entries.items()}
        for creator, entries in _table("_private_dict", "private_dictionaries").items()
    }
)
"""Private creator -> eight hexadecimal digits, x where the block stands -> VR."""
UIDS: MappingProxyType[str, tuple[str, str]] = MappingProxyType(
    {uid: (entry[0], entry[1]) for uid, entry in _table("_uid_dict", "UID_dictionary").items()}
)
"""UID -> (name, kind), PS3.6 table A-1."""
