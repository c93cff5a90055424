"""What the region's processes are told on their command line, and how they end with whoever started them."""

import argparse
import json
import os
import sys
import threading
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

HOST = "127.0.0.1"
"""Samsyn and the region are on one machine."""
TOKENS = "SAMSYN_DEMO_TOKENS"
"""Environment variable: JSON from the name of a STOW client to its bearer token."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that `play` takes and hands on to its processes."""
    parser.add_argument("--dicom-port", type=int, required=True, help="Samsyn's DICOM port")
    parser.add_argument("--http-port", type=int, required=True, help="Samsyn's HTTP port")
    parser.add_argument("--mllp-port", type=int, required=True, help="Samsyn's MLLP port")
    parser.add_argument("--folder", type=Path, required=True, help="where files may be kept meanwhile")
    parser.add_argument("--anchor-date", type=date.fromisoformat, default=today(), help="the demo's today")
    parser.add_argument("--people", default="", help="only these people: keys parted by comma")
    parser.add_argument("--with-parent", action="store_true", help="end when stdin closes")


def people(options: argparse.Namespace) -> list[str]:
    """The keys after `--people`; none = everybody."""
    return [key for key in options.people.split(",") if key]


def today() -> date:
    """The day in Sweden."""
    return datetime.now(ZoneInfo("Europe/Stockholm")).date()


def tell(provider: str, text: str, **more: object) -> None:
    """One line of progress on stdout."""
    line = json.dumps({"text": text, "provider": provider, **more}, ensure_ascii=False)
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def end_with_parent() -> None:
    """Ends this process when whoever started it is gone: its end of our stdin closes then, however it went."""

    def watch() -> None:
        # Not through sys.stdin: its lock would be held when the process ends.
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
