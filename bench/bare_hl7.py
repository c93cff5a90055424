"""What one interpreter of this machine can do: a bare taker of HL7 v2 reports, to measure Samsyn beside.

`python -m bench.bare_hl7 FOLDER` listens for MLLP on a free port, which it prints as JSON, until its input ends. It
cuts each message into segments and fields, appends message and rows to a journal with one fdatasync for all that
wait, adds the rows to SQLite in one transaction for all of them, and answers AA. It keeps as many rows and bytes of a
report as Samsyn does, but knows no rules, looks up no person, proves nothing, answers no repeat and lets nobody read:
it is no product. It is written to be quick: one thread, a protocol without streams or tasks, one call for all rows of
a kind.
"""

import asyncio
import json
import os
import sqlite3
import struct
import sys
from pathlib import Path

import orjson

RECORD_BYTES = 8_000
"""What Samsyn's journal takes for a report of the measured kind; a record is filled up to this with blanks."""
ROWS = {
    "patient": ("patient_key INTEGER PRIMARY KEY, name, birth_date, sex", 1),
    "identifier": ("value, patient_key, PRIMARY KEY(value, patient_key)", 1),
    "name_word": ("word, patient_key, PRIMARY KEY(word, patient_key)", 4),
    "report": (
        "report_key INTEGER PRIMARY KEY, patient_key, accession, filler, status, result_time, title, text",
        1,
    ),
    "order_event": ("event_key INTEGER PRIMARY KEY, patient_key, placer, accession", 1),
    "log": ("log_key INTEGER PRIMARY KEY, patient_key, sender, accession", 1),
    "message": ("message_key INTEGER PRIMARY KEY, control_id UNIQUE, record_offset, length, received", 1),
    "change": ("change_key INTEGER PRIMARY KEY, report_key", 1),
    "due": ("due_key INTEGER PRIMARY KEY, patient_key UNIQUE", 1),
}
"""Table -> its columns, and how many rows a report of the measured kind has: twelve, as with Samsyn."""
_LOOKED_FOR = ("report(patient_key)", "report(accession)", "order_event(patient_key)", "log(patient_key)")
_WITHOUT_ROWID = ("identifier", "name_word")
_HEAD = struct.Struct("<II")


class Intake:
    """Journal, index and what waits for both."""

    def __init__(self, folder: Path) -> None:
        self._journal = os.open(folder / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._index = sqlite3.connect(folder / "index.sqlite", isolation_level=None, cached_statements=64)
        self._index.execute("PRAGMA journal_mode=WAL")
        self._index.execute("PRAGMA synchronous=NORMAL")  # what a power cut takes is in the journal
        for table, (columns, _) in ROWS.items():
            end = " WITHOUT ROWID" if table in _WITHOUT_ROWID else ""
            self._index.execute(f"CREATE TABLE {table}({columns}){end}")
        for number, place in enumerate(_LOOKED_FOR):
            self._index.execute(f"CREATE INDEX looked_for_{number} ON {place}")
        self._inserts = {
            table: f"INSERT INTO {table} VALUES({', '.join('?' * len(self._columns(table)))})"
            for table in ROWS
        }
        self._offset = self._key = 0
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []
        self._loop = asyncio.get_running_loop()

    def _columns(self, table: str) -> list[str]:
        return [row[1] for row in self._index.execute(f"PRAGMA table_info({table})")]

    def take(self, sender: asyncio.Transport, message: bytes) -> None:
        """Files the message with all others that have come in this turn of the loop."""
        if not self._waiting:
            self._loop.call_soon(self._commit)
        self._waiting.append((sender, message))

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        parts: list[bytes] = []
        rows: dict[str, list[tuple[object, ...]]] = {table: [] for table in ROWS}
        answers = []
        for sender, message in waiting:
            try:
                answer, own = self._read(message)
            except (
                LookupError,
                UnicodeDecodeError,
            ):  # no report: nothing is kept of it, and nothing acknowledged
                sender.abort()
                continue
            told = orjson.dumps(own).ljust(RECORD_BYTES - len(message) - _HEAD.size)
            parts += (_HEAD.pack(len(message), len(told)), message, told)
            self._offset += _HEAD.size + len(message) + len(told)
            for table, added in own.items():
                rows[table] += added
            answers.append((sender, answer))
        data = memoryview(b"".join(parts))
        while data:
            data = data[os.write(self._journal, data) :]
        os.fdatasync(self._journal)
        self._index.execute("BEGIN IMMEDIATE")
        for table, sql in self._inserts.items():
            self._index.executemany(sql, rows[table])
        self._index.execute("COMMIT")
        for sender, answer in answers:
            sender.write(answer)

    def _read(self, message: bytes) -> tuple[bytes, dict[str, list[tuple[object, ...]]]]:
        """The answer, and the rows that the report is."""
        segments = [line.split("|") for line in message.decode("cp1252").split("\r") if line]
        first: dict[str, list[str]] = {}
        for segment in segments:
            first.setdefault(segment[0], segment)
        msh, pid, obr = first["MSH"], first["PID"], first["OBR"]
        text = "\n".join(segment[5] for segment in segments if segment[0] == "OBX")
        self._key += 1
        key = self._key
        control_id, accession, name = msh[9], obr[18], pid[5]
        words = name.lower().replace("^", " ").split()
        own: dict[str, list[tuple[object, ...]]] = {
            "patient": [(key, name, pid[7], pid[8])],
            "identifier": [(pid[3].partition("^")[0], key)],
            "name_word": [(word, key) for word in dict.fromkeys((*words, "".join(words)))],
            "report": [(key, key, accession, obr[3], obr[25], obr[22], obr[4].partition("^")[2], text)],
            "order_event": [(key, key, obr[2], accession)],
            "log": [(key, key, msh[2], accession)],
            "message": [(key, control_id, self._offset, len(message), msh[6])],
            "change": [(key, key)],
            "due": [(key, key)],
        }
        answer = f"MSH|^~\\&|{msh[4]}|{msh[5]}|{msh[2]}|{msh[3]}|{msh[6]}||ACK^R01^ACK|A{control_id}|P|2.5\r"
        return f"\x0b{answer}MSA|AA|{control_id}\r\x1c\r".encode("cp1252"), own


def kept(folder: Path) -> tuple[int, int]:
    """What a run has left: (whole records in the journal, messages in the index)."""
    journal, records, at = (folder / "journal").read_bytes(), 0, 0
    while at < len(journal):
        body, told = _HEAD.unpack_from(journal, at)
        at += _HEAD.size + body + told
        orjson.loads(journal[at - told : at])
        records += 1
    index = sqlite3.connect(folder / "index.sqlite")
    (messages,) = index.execute("SELECT COUNT(*) FROM message").fetchone()
    index.close()
    return records, int(messages)


class Connection(asyncio.Protocol):
    """MLLP: VT, message, FS CR."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody sends."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Takes each whole message."""
        self._buffer += data
        while (end := self._buffer.find(b"\x1c\r")) >= 0:
            if self._buffer[0] != 0x0B:
                self._transport.abort()
                return
            message = bytes(self._buffer[1:end])
            del self._buffer[: end + 2]
            self._intake.take(self._transport, message)


async def _serve(folder: Path) -> None:
    loop = asyncio.get_running_loop()
    intake = Intake(folder)
    server = await loop.create_server(lambda: Connection(intake), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
