"""Checks that everything that runs at a site comes under a licence that allows it: `python -m tools.licences`.

The runtime dependencies are those of requirements.lock; each must be installed and name a permissive licence in
its own metadata. Weak copyleft per file (MPL-2.0) is allowed: the files are used as they are. For packages that
name their licence only in words, the words are in the table.
"""

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
ALLOWED: Final = frozenset(
    (
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "MPL-2.0",
        "PSF-2.0",
        "Zlib",
    )
)
WORDS: Final = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""Trove classifiers of packages that give no SPDX expression."""


def locked(lock: str) -> list[str]:
    """Names of the packages in a lock file, without those that are for other platforms or Pythons."""
    names = []
    for line in lock.splitlines():
        found = re.match(r"([A-Za-z0-9._-]+)==[^ ;\\]+(?: ; ([^\\]+))?", line)
        if found and not re.search(r"win32|>= '3\.1[2-9]'|emscripten", found[2] or ""):
            names.append(found[1])
    return sorted(set(names))


def licence(description: metadata.PackageMetadata) -> str:
    """The licence that a package names: its SPDX expression, its classifiers, or its licence field."""
    if "License-Expression" in description:
        return description["License-Expression"]
    classifiers = [
        c.rpartition(" :: ")[2] for c in description.get_all("Classifier") or () if c.startswith("License")
    ]
    named = [WORDS.get(word, word) for word in classifiers if word != "OSI Approved"]
    if not named and "License" in description:
        named = [description["License"].strip()]
    return " AND ".join(named) or "unknown"


def is_allowed(expression: str) -> bool:
    """Whether the expression can be met with allowed licences only: every AND part has an allowed OR choice."""
    parts = re.split(r"\bAND\b", expression.replace("(", " ").replace(")", " "))
    return all(any(choice.strip() in ALLOWED for choice in re.split(r"\bOR\b", part)) for part in parts)


def complaints(names: list[str]) -> list[str]:
    """One sentence for every package that is not installed or whose licence is not allowed."""
    found = []
    for name in names:
        try:
            named = licence(metadata.metadata(name))
        except metadata.PackageNotFoundError:
            found.append(f"{name} is not installed")
            continue
        if not is_allowed(named):
            found.append(f"{name} comes under {named}")
    return found


def main() -> int:
    """Prints what is wrong; 0 when nothing is."""
    found = complaints(locked((ROOT / "requirements.lock").read_text()))
    for complaint in found:
        print(f"licences: {complaint}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
