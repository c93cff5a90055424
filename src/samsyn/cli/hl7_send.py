"""`samsyn hl7 send`: a file of messages sent over MLLP, one after the other, each after the answer to the one before.

For a RIS export and for sending again what was refused. The file is read as it is sent, so its size does not matter.
"""

import re
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from samsyn.errors import BadInput, ConfigurationError
from samsyn.hl7v2.header import peek
from samsyn.limits import HL7_MESSAGE_TIMEOUT_S, MAX_HL7_MESSAGE_BYTES
from samsyn.wire.mllp import BlockReader, framed

_CHUNK_BYTES = 65_536
_MSH = re.compile(rb"[\r\n]MSH(?=[^A-Za-z0-9\s])")
_ENVELOPE = re.compile(rb"[\r\n](?:FHS|BHS|BTS|FTS)[^A-Za-z0-9\s][^\r\n]*")
_FRAME = re.compile(rb"\x0b|\x1c\r?")


def run(file: Path, host: str, port: int) -> int:
    """Sends every message; prints what was not accepted and a summary. 0 = everything was.

    ConfigurationError: the file can not be read or nobody listens. A connection that ends stops the sending: what was
    answered stands, and sending the file again repeats nothing.
    """
    answers: Counter[str] = Counter()
    try:
        with file.open("rb") as source, socket.create_connection((host, port), HL7_MESSAGE_TIMEOUT_S) as peer:
            for number, message in enumerate(messages(iter(lambda: source.read(_CHUNK_BYTES), b"")), start=1):
                code, sentence = _ask(peer, message)
                answers[code] += 1
                if code not in ("AA", "CA"):
                    control = peek(message).control_id or "none"
                    print(f"message {number}, control id {control}: {code} {sentence}")
    except OSError as problem:
        print(f"stopped after {answers.total()} messages: {problem.strerror or problem}", file=sys.stderr)
        if not answers:
            raise ConfigurationError(f"{file} or {host}:{port}: {problem.strerror or problem}") from problem
        return 1
    told = ", ".join(f"{count} {code}" for code, count in sorted(answers.items()))
    print(f"{answers.total()} messages: {told or 'none found in the file'}")
    return 0 if answers and set(answers) <= {"AA", "CA"} else 1


def messages(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The messages of a file, without batch envelopes and MLLP frames, byte for byte otherwise.

    BadInput: something that is no end in sight after the size of the largest message.
    """
    waiting = b"\r"
    for chunk in chunks:
        waiting += _FRAME.sub(b"", chunk)
        starts = [match.start() + 1 for match in _MSH.finditer(waiting)]
        for begin, end in pairwise(starts):
            yield _plain(waiting[begin:end])
        if starts:
            waiting = waiting[starts[-1] - 1 :]
        if len(waiting) > MAX_HL7_MESSAGE_BYTES + _CHUNK_BYTES:
            raise BadInput(
                f"no end of a message within {MAX_HL7_MESSAGE_BYTES} bytes: is this a file of messages?"
            )
    first = _MSH.search(waiting)
    if first is not None:
        yield _plain(waiting[first.start() + 1 :])


def _plain(message: bytes) -> bytes:
    return _ENVELOPE.sub(b"", message)


def _ask(peer: socket.socket, message: bytes) -> tuple[str, str]:
    """MSA-1 and MSA-3 of the answer."""
    peer.sendall(framed(message))
    reader = BlockReader()
    while (block := reader.next_block()) is None:
        data = peer.recv(_CHUNK_BYTES)
        if not data:
            raise ConnectionError("the connection ended before the answer came")
        reader.feed(data)
    msa = next((line for line in block.decode("latin-1").split("\r") if line.startswith("MSA")), "MSA|?")
    fields = [*msa.split("|"), "", ""]
    return fields[1] or "?", fields[3]
