"""A foreign HL7 client and plain sockets against a running server."""

import concurrent.futures
import itertools
import json
import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import hl7
import pytest
from hl7.client import MLLPClient

from tests.hl7v2.messages import message, msh, obr, obx, oru, pid, segment
from tests.ports import free_ports
from tests.scratch import Running, start_with_config
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

FRAME = b"\x0b%s\x1c\r"
_numbers = itertools.count(1)


def fresh() -> str:
    """A control id that no other test has used."""
    return f"S{next(_numbers)}"


@pytest.fixture
def client(scratch: Running) -> Iterator[MLLPClient]:
    with MLLPClient("127.0.0.1", scratch.mllp_port) as opened:
        opened.socket.settimeout(10)
        yield opened


def told(answer: bytes) -> tuple[str, str, str]:
    """(code, control id, sentence) as the foreign library reads them."""
    parsed = hl7.parse(answer.strip(b"\x0b\x1c\r").decode("latin-1"))
    msa = parsed.segment("MSA")
    return str(msa[1]), str(msa[2]), str(msa[3]) if len(msa) > 3 else ""


def messages_of_a_day() -> Iterator[bytes]:
    """A patient's way through a hospital in the order that it usually happens."""
    accession, placer = f"ACC{fresh()}", f"R{fresh()}"
    order = {2: placer, 3: accession}
    yield message(msh("ADT^A04", fresh()), segment("EVN", {1: "A04", 2: "20240314080000"}), pid())
    for number, (control, state) in enumerate((("NW", ""), ("SC", "SC"), ("SC", "IP"), ("SC", "CM"))):
        yield message(
            msh("ORM^O01", fresh(), sent=f"202403140{number}0000"),
            pid(),
            segment("ORC", {1: control, 5: state, 9: "20240314080000", **order}),
            segment("OBR", {4: "CTTHX^DT thorax^L", 13: "Hosta å ä ö", 31: "^Pneumoni?"}),
        )
    for number, status in enumerate("PFAC"):
        fields = {18: accession, 2: placer, 3: accession, 25: status, 22: f"2024031510{number}000"}
        yield message(msh("ORU^R01", fresh()), pid(), obr(fields), obx(f"Utlåtande {status}", status))
    yield message(msh("ADT^A08", fresh(), sent="20240316080000"), pid(name="Tolvansson^Tolvan^Åke"))


def test_a_foreign_client_s_whole_day_is_accepted(client: MLLPClient) -> None:
    for raw in messages_of_a_day():
        assert told(client.send_message(raw))[0] == "AA"


def test_a_foreign_library_s_own_message_is_accepted(client: MLLPClient) -> None:
    built = hl7.parse(oru(control=fresh()).decode("latin-1"))
    built["OBX"][0][5] = "Byggt av ett främmande bibliotek."
    assert told(client.send_message(str(built).encode("latin-1")))[0] == "AA"


def test_refusals_say_what_to_mend(client: MLLPClient) -> None:
    code, _, sentence = told(client.send_message(oru(control=fresh(), f22="20250229")))
    assert code == "AE"
    assert "OBR-22" in sentence
    code, _, sentence = told(client.send_message(oru(control=fresh()).replace(b"NORDRIS", b"OKANDRIS")))
    assert code == "AR"
    assert "MSH-3" in sentence


def test_the_same_message_again_is_answered_with_the_same_bytes(client: MLLPClient) -> None:
    raw = oru(control=fresh(), f18=fresh())
    assert client.send_message(raw) == client.send_message(raw)
    assert told(client.send_message(raw.replace(b"Inga tecken", b"Tydliga tecken")))[0] == "AE"


@pytest.mark.parametrize(
    ("charset", "codec"), [("8859/1", "latin-1"), ("UNICODE UTF-8", "utf-8"), ("", "latin-1")]
)
def test_each_character_set_is_taken(client: MLLPClient, charset: str, codec: str) -> None:
    raw = message(msh("ADT^A08", fresh(), charset=charset), pid(name="Öberg^Åsa Märta"), charset=codec)
    assert told(client.send_message(raw))[0] == "AA"


def test_eight_senders_at_once_are_all_answered(scratch: Running) -> None:
    def send(number: int) -> list[str]:
        with MLLPClient("127.0.0.1", scratch.mllp_port) as one:
            return [
                told(one.send_message(oru(control=f"E{number}-{n}", f18=f"E{number}-{n}")))[0]
                for n in range(25)
            ]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(send, range(8))) == [["AA"] * 25] * 8


def test_hostile_bytes_of_every_kind_leave_the_listener_alive_and_small(scratch: Running) -> None:
    rng = random.Random(11)
    before = memory_kib(scratch.process.pid)
    whole = oru(control="H")
    for number in range(200):
        damaged = bytearray(whole)
        for _ in range(rng.randrange(1, 20)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        frame = rng.choice(
            [FRAME % bytes(damaged), b"\x0b" + damaged, bytes(damaged), FRAME % bytes(damaged) * 3]
        )
        with socket.create_connection(("127.0.0.1", scratch.mllp_port), 5) as one:
            one.sendall(frame[: rng.randrange(1, len(frame) + 1)])
            if number % 2:
                one.shutdown(socket.SHUT_WR)
                one.settimeout(5)
                with_answer = one.recv(65536)
                assert with_answer == b"" or b"MSA|" in with_answer
    with MLLPClient("127.0.0.1", scratch.mllp_port) as good:
        assert told(good.send_message(oru(control=fresh(), f18=fresh())))[0] == "AA"
    assert memory_kib(scratch.process.pid) < before + 64 * 1024


def memory_kib(pid_number: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid_number}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def test_no_accepted_message_is_lost_by_kill_9(tmp_path: Path) -> None:
    http, mllp = free_ports(2)
    config = tmp_path / "samsyn.toml"
    config.write_text(
        f"[data]\nfolder = {json.dumps(str(tmp_path / 'data'))}\n[dicom]\nport = 0\n[http]\nport = {http}\n"
        f'[mllp]\nport = {mllp}\n[[provider]]\nhsa_id = "SE9990000001-0001"\nname = "Nord"\n'
        '[[provider.unit]]\nhsa_id = "SE9990000001-1001"\nname = "R"\n'
        '[[provider.hl7_source]]\napplication = "NORDRIS"\n'
    )
    rng = random.Random(9)
    accepted: list[bytes] = []
    for cycle in range(int(os.environ.get("SAMSYN_KILL_CYCLES", "2"))):
        server = start_with_config(config, tmp_path / "log", http)
        try:
            before, pause_s = len(accepted), 0.3 + rng.random() * 0.5
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                senders = [pool.submit(send_until_cut, mllp, f"K{cycle}-{n}", accepted) for n in range(4)]
                deadline = time.monotonic() + PATIENCE_S
                while len(accepted) < before + 10 and time.monotonic() < deadline:
                    time.sleep(0.02)
                time.sleep(pause_s)
                server.kill()
                for sender in senders:
                    sender.result()
        finally:
            server.kill()
    server = start_with_config(config, tmp_path / "log", http)
    try:
        assert len(accepted) > 10
        # A message that was accepted is known: sent again it is accepted, with another content it is refused.
        with MLLPClient("127.0.0.1", mllp) as one:
            for raw in rng.sample(accepted, min(len(accepted), 200)):
                assert told(one.send_message(raw.replace(b"Inga tecken", b"Andra tecken")))[0] == "AE"
                assert told(one.send_message(raw))[0] == "AA"
    finally:
        assert server.stop() == 0


def send_until_cut(port: int, name: str, accepted: list[bytes]) -> None:
    """Sends reports until the connection breaks; notes those that were accepted."""
    try:
        with MLLPClient("127.0.0.1", port) as one:
            one.socket.settimeout(5)
            for number in itertools.count():
                raw = oru(control=f"{name}-{number}", f18=f"{name}-{number}")
                answer = one.send_message(raw)
                if b"MSA|AA|" not in answer:
                    return
                accepted.append(raw)
    except (OSError, TimeoutError):
        return
