"""A crowd on the DICOM door: hundreds of idle, dripping and lying peers, and a working one is still served at once."""

import asyncio
import os
import struct
import time
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.exchange.scu import connect
from samsyn.wire import dimse, pdu
from samsyn.wire.assembly import encode_message
from samsyn.wire.negotiation import Implementation, own_user_information
from samsyn.wire.pdu import AssociateRequest, ProposedContext
from tests.dimse.stage import CT, EXPLICIT, IMPLICIT, VERIFICATION, encoded, image
from tests.ports import free_ports
from tests.scratch import Running, start_with_config

pytestmark = pytest.mark.slow

TITLES = [f"CROWD{number}" for number in range(10)]
IDLE = int(os.environ.get("SAMSYN_CROWD", "500"))
MOST_S = 1.0


def started(folder: Path) -> tuple[Running, int]:
    """A server that knows the crowd, and its DICOM port."""
    dicom, http, mllp = free_ports(3)
    peers = "".join(
        f'[[provider.dicom_peer]]\nae_title = "{title}"\n' for title in [*TITLES, "WORKING", "SENDER"]
    )
    config = folder / "samsyn.toml"
    config.write_text(
        f'[data]\nfolder = "{folder / "data"}"\n[dicom]\nport = {dicom}\n[http]\nport = {http}\n'
        f'[mllp]\nport = {mllp}\n[[provider]]\nhsa_id = "SE9990000001-0001"\nname = "Nordsjukhuset"\n'
        f'[[provider.unit]]\nhsa_id = "SE9990000001-1001"\nname = "Röntgen"\n{peers}'
    )
    return start_with_config(config, folder / "server.log", http), dicom


def resident_mib(running: Running) -> float:
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


async def associated(port: int, calling: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """An association that then does nothing by itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    user = own_user_information(Implementation("2.25.2", "CROWD"))
    contexts = (ProposedContext(1, CT, (EXPLICIT,)), ProposedContext(3, VERIFICATION, (IMPLICIT,)))
    writer.write(pdu.encode_control(AssociateRequest("SAMSYN", calling, contexts, user)))
    header = await reader.readexactly(6)
    assert header[0] == pdu.PduType.ASSOCIATE_AC
    await reader.readexactly(struct.unpack(">I", header[2:])[0])
    return reader, writer


async def is_ended(reader: asyncio.StreamReader) -> bool:
    """Whether the server has ended an association that nobody speaks on."""
    try:
        async with asyncio.timeout(0.2):
            await reader.read(1)
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


async def echo_s(port: int) -> float:
    """Seconds for a new association with one C-ECHO."""
    begun = time.monotonic()
    async with await connect("127.0.0.1", port, "SAMSYN", "WORKING", [(VERIFICATION, (IMPLICIT,))]) as one:
        assert (await one.echo()).status == 0
    return time.monotonic() - begun


async def send_until(port: int, stop: asyncio.Event, sent: list[int]) -> None:
    """A modality that stores half a megabyte again and again."""
    async with await connect("127.0.0.1", port, "SAMSYN", "SENDER", [(CT, (EXPLICIT,))]) as one:
        while not stop.is_set():
            number = len(sent)
            sent.append(number)
            made = image(
                PatientID="19121212-1212",
                SOPInstanceUID=f"2.25.5{number}",
                Rows=512,
                Columns=512,
                PixelData=bytes(512 * 512 * 2),
            )
            assert (await one.store(EXPLICIT, CT, f"2.25.5{number}", encoded(made))).status == 0


async def drip(port: int, calling: str, stop: asyncio.Event) -> None:
    """A peer that sends an object one byte at a time."""
    _, writer = await associated(port, calling)
    message = encode_message(1, dimse.StoreRequest(1, CT, "2.25.9"), encoded(image()), 16384)
    for byte in message:
        if stop.is_set() or writer.is_closing():
            break
        writer.write(bytes((byte,)))
        await asyncio.sleep(0.02)
    writer.close()


async def lie(port: int, calling: str) -> None:
    """A peer whose PDU tells four gigabytes and goes on sending; it must be cut off."""
    try:
        reader, writer = await associated(port, calling)
    except (ConnectionError, asyncio.IncompleteReadError):
        return  # the house is full
    writer.write(struct.pack(">BxI", pdu.PduType.P_DATA_TF, 0xFFFFFFFF) + bytes(65536))
    try:
        async with asyncio.timeout(10):
            while await reader.read(65536):
                pass
    except ConnectionError:
        pass
    writer.close()


async def test_an_echo_is_answered_within_a_second_in_a_crowd(tmp_path: Path) -> None:
    running, port = started(tmp_path)
    stop = asyncio.Event()
    try:
        calm = max([await echo_s(port) for _ in range(5)])
        before = resident_mib(running)
        idle = [await associated(port, TITLES[number % len(TITLES)]) for number in range(IDLE - 20)]
        drips = [asyncio.create_task(drip(port, TITLES[number % 10], stop)) for number in range(10)]
        sent: list[int] = []
        senders = [asyncio.create_task(send_until(port, stop, sent)) for _ in range(2)]
        await asyncio.sleep(1)
        crowded, liars = [], []
        for number in range(30):
            liars.append(asyncio.create_task(lie(port, TITLES[number % 10])))
            crowded.append(await echo_s(port))
        await asyncio.gather(*liars)
        grown = resident_mib(running) - before
        print(
            f"{len(idle)} idle associations, 10 that drip, 30 that claim 4 GiB, 2 that store ({len(sent)} instances):"
            f" slowest C-ECHO {max(crowded) * 1000:.0f} ms (alone {calm * 1000:.0f} ms), memory +{grown:.0f} MiB"
        )
        assert max(crowded) < MOST_S
        assert grown < 200
        assert not any(await asyncio.gather(*(is_ended(reader) for reader, _ in idle)))
        stop.set()
        await asyncio.gather(*drips, *senders)
        for _, writer in idle:
            writer.close()
        assert await echo_s(port) < MOST_S
        assert running.stop() == 0
    finally:
        stop.set()
        running.kill()


async def test_idle_associations_that_fill_the_house_make_room_one_by_one(tmp_path: Path) -> None:
    running, port = started(tmp_path)
    try:
        full = [await associated(port, TITLES[number % 10]) for number in range(512)]
        # What a connection does is looked at once a second, so it is idle up to a second longer than is known.
        await asyncio.sleep(limits.SPARED_IDLE_S + 1.5)
        slowest = max([await echo_s(port) for _ in range(10)])
        lost = sum(await asyncio.gather(*(is_ended(reader) for reader, _ in full)))
        print(f"{len(full)} idle associations: slowest C-ECHO {slowest * 1000:.0f} ms, {lost} ended for them")
        assert slowest < MOST_S
        assert 1 <= lost <= 10
        for _, writer in full:
            writer.close()
        assert running.stop() == 0
    finally:
        running.kill()


async def test_a_crowd_that_asks_for_nothing_makes_room_for_who_works(tmp_path: Path) -> None:
    running, port = started(tmp_path)
    try:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(IDLE + 100)]
        slowest = max([await echo_s(port) for _ in range(10)])
        print(f"{len(silent)} silent connections: slowest C-ECHO {slowest * 1000:.0f} ms")
        assert slowest < MOST_S
        for _, writer in silent:
            writer.close()
        assert running.stop() == 0
    finally:
        running.kill()
