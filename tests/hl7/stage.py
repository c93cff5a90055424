"""The HL7 door on a free port with its house, and senders on plain sockets."""

import asyncio

from samsyn.endpoints.hl7.listener import Hl7Door
from samsyn.hl7v2.parsing import Message, parse
from samsyn.settings import Settings
from samsyn.wire.mllp import framed
from tests.reports.house import House
from tests.waiting import PATIENCE_S

SETTINGS = Settings.model_validate(
    {
        "mllp": {"port": 0},
        "provider": [
            {
                "hsa_id": "SE9990000001-0001",
                "name": "Nordsjukhuset",
                "local_issuer": "2.25.1",
                "unit": [{"hsa_id": "SE9990000001-1001", "name": "Röntgen"}],
                "hl7_source": [
                    {"application": "NORDRIS", "facility": "NORDSJUKHUSET"},
                    {"application": "FARAWAY", "addresses": ["192.0.2.1"]},
                ],
            }
        ],
    }
)


class Peer:
    """A sender on a plain socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> Message:
        block = await asyncio.wait_for(self.reader.readuntil(b"\x1c\r"), PATIENCE_S)
        assert block.startswith(b"\x0b")
        return parse(block[1:-2])

    async def ask(self, raw: bytes) -> Message:
        self.writer.write(framed(raw))
        return await self.answer()

    async def is_closed(self, within_s: float = 20.0) -> bool:
        """Whether the door closes: well before a limit that would close anything (HL7_MESSAGE_TIMEOUT_S)."""
        try:
            return await asyncio.wait_for(self.reader.read(), within_s) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False


class Opened:
    """A door with its house and the means to reach it."""

    def __init__(self, door: Hl7Door, house: House) -> None:
        self.door, self.house = door, house
        self.peers: list[Peer] = []

    async def peer(self) -> Peer:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.door.port))
        self.peers.append(peer)
        return peer


def code(answer: Message) -> str:
    return answer.segments[1].text(1)
