"""A server with a national blocking service starts while the service is dead, says so, and reads when it lives."""

import asyncio
from pathlib import Path

import httpx

from samsyn.clock import SystemClock
from samsyn.server import Server
from samsyn.settings import Settings
from tests.access.national_service import Kept, a_service
from tests.access.soap_server import Certificates
from tests.waiting import PATIENCE_S


def settings_of(folder: Path, certificates: Certificates, address: str) -> Settings:
    return Settings.model_validate(
        {
            "data": {"folder": folder / "data"},
            "http": {"port": 0},
            "dicom": {"port": 0},
            "mllp": {"port": 0},
            "national": {
                "blocking_address": address,
                "certificate_file": certificates.client,
                "key_file": certificates.client_key,
                "ca_file": certificates.ca,
                "every_s": 5,
            },
        }
    )


async def age_of(server: Server) -> float:
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"http://127.0.0.1:{server.http_port}/metrics")).text
    (line,) = [each for each in text.splitlines() if each.startswith("samsyn_national_blocks_age_seconds ")]
    return float(line.split()[1])


async def test_a_dead_service_is_told_by_its_age_and_stops_nothing(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    server = Server(settings_of(tmp_path, certificates, "https://127.0.0.1:9/GetBlocks"), SystemClock())
    await server.start()
    try:
        assert await age_of(server) == -1
    finally:
        await server.stop()


async def test_a_living_service_is_read_at_the_start_and_the_copy_outlives_the_process(
    tmp_path: Path,
) -> None:
    certificates = Certificates(tmp_path)
    async with a_service(certificates) as service:
        service.put(Kept("b", "191212121212", "SE9990000001-0001"))
        server = Server(settings_of(tmp_path, certificates, service.address), SystemClock())
        await server.start()
        try:
            async with asyncio.timeout(PATIENCE_S):
                while await age_of(server) < 0:
                    await asyncio.sleep(0.05)
        finally:
            await server.stop()
        address = service.address
    again = Server(settings_of(tmp_path, certificates, address), SystemClock())
    await again.start()
    try:
        assert 0 <= await age_of(again) < 60
    finally:
        await again.stop()
