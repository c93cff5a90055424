"""How much is tried: a short run in `make test`, the whole in `make fuzz`; and what it may cost."""

import json
import os
from pathlib import Path

from samsyn.limits import MIB

SEED = int(os.environ.get("SAMSYN_FUZZ_SEED", "2024"))
"""Where the dice start; the same seed gives the same broken input."""
MOST_GROWTH_BYTES = 64 * MIB
"""What a process that is fed broken input may hold above what it held when idle."""


def amount(name: str, short: int, whole: int) -> int:
    """`SAMSYN_FUZZ_<name>` when it is set, else `whole` under `make fuzz` and `short` elsewhere."""
    usual = whole if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else short
    return int(os.environ.get(f"SAMSYN_FUZZ_{name}", usual))


def resident_bytes(process: int | str = "self") -> int:
    """Memory of a process now."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def faults(log: Path) -> list[str]:
    """Lines of a server's operations log that tell of something that nobody had thought of."""

    def is_fault(line: str) -> bool:
        try:
            return json.loads(line)["level"] in ("error", "critical")
        except ValueError:
            return True

    return [line for line in log.read_text().splitlines() if is_fault(line)]
