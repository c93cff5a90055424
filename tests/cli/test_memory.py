"""What the serving process has freed goes back to the system, and what has started is not searched for circles."""

import subprocess
import sys

_HOLES = """
import sys
from samsyn.cli.memory import bound_what_is_kept
if sys.argv[1] == "bounded":
    bound_what_is_kept()

def resident_mib():
    with open("/proc/self/statm") as told:
        return int(told.read().split()[1]) * 4 // 1024

large = bytearray(b"x") * (24 << 20)
del large
before = resident_mib()
blocks, between = [], []
for _ in range(12):
    blocks.append(bytearray(b"x") * (6 << 20))
    between.append(bytearray(4_000))
blocks.clear()
print(resident_mib() - before)
"""

_STARTED = """
import gc
from samsyn.cli.memory import keep_what_has_started
some = [[n] for n in range(1_000)]
keep_what_has_started()
print(gc.get_freeze_count() >= 1_000, len(gc.get_objects()) < 1_000)
"""

_LOADED = """
import sys
import samsyn.cli.serve
print(sorted({"PIL", "asyncpg", "obstore", "pydicom", "reportlab"} & set(sys.modules)))
"""


def _said(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_large_things_that_were_freed_leave_no_holes() -> None:
    kept = int(_said(_HOLES, "as it comes"))
    bounded = int(_said(_HOLES, "bounded"))
    assert kept > 60  # twelve of 6 MiB: what the bound is for
    assert bounded < 10


def test_what_has_started_is_searched_no_more() -> None:
    assert _said(_STARTED) == "True True"


_BETWEEN = """
import asyncio
from samsyn.cli.memory import FreePages, bound_what_is_kept
bound_what_is_kept()

def resident_mib():
    with open("/proc/self/statm") as told:
        return int(told.read().split()[1]) * 4 // 1024

wall, taken = iter((0.0, 5.0, 10.0, 15.0)), iter((0.0, 2.0, 2.1, 2.4))
free_pages = FreePages(lambda: next(wall), lambda: next(taken))
blocks, between = [], []
for _ in range(200):
    blocks.append(bytearray(b"x") * 300_000)
    between.append(bytearray(4_000))
full = resident_mib()
blocks.clear()
busy = asyncio.run(free_pages.look())
held = resident_mib()
idle = asyncio.run(free_pages.look())
left = resident_mib()
print(busy, full - held < 20, idle, full - left > 40, asyncio.run(free_pages.look()))
"""


def test_what_is_free_between_things_in_use_goes_back_when_little_is_done() -> None:
    assert _said(_BETWEEN) == "False True True True False"


_BUSY = """
import asyncio
from samsyn.cli.memory import FreePages, bound_what_is_kept
bound_what_is_kept()

wall, taken = iter((0.0, 5.0, 35.0, 40.0, 70.0)), iter((0.0, 5.0, 35.0, 40.0, 70.0))
free_pages = FreePages(lambda: next(wall), lambda: next(taken))
blocks, between = [], []
for _ in range(200):
    blocks.append(bytearray(b"x") * 300_000)
    between.append(bytearray(4_000))
blocks.clear()
told = [asyncio.run(free_pages.look()) for _ in range(3)]
blocks = [bytearray(b"x") * 300_000 for _ in range(190)]
print(*told, asyncio.run(free_pages.look()))
"""


def test_much_that_is_free_goes_back_now_and_then_while_much_is_done() -> None:
    assert _said(_BUSY) == "False True False False"


def test_what_serving_seldom_needs_is_not_loaded_with_it() -> None:
    assert _said(_LOADED) == "[]"
