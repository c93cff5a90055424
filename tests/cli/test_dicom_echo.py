"""`samsyn dicom echo`: who answers, who does not, and what to look at then."""

import asyncio
from pathlib import Path

from tests.cli.commands import samsyn, settings_file
from tests.dimse.peers import Peer

VERIFICATION = "1.2.840.10008.1.1"


def with_peers(folder: Path, **ports: int) -> Path:
    file = settings_file(folder)
    peers = "".join(
        f'[[provider.dicom_peer]]\nae_title = "{title}"\nhost = "127.0.0.1"\nport = {port}\n'
        for title, port in ports.items()
    )
    text = file.read_text().replace("[[provider.hl7_source]]", f"{peers}[[provider.hl7_source]]")
    file.write_text(text)
    return file


async def test_each_destination_is_called_and_told_about(tmp_path: Path) -> None:
    async with Peer("SINK", [VERIFICATION]) as good, Peer("CLOSED", []) as gone:
        file = with_peers(tmp_path, SINK=good.port)
        done = await asyncio.to_thread(samsyn, "dicom", "echo", "-c", file)
        assert (done.returncode, done.stdout.split(" answers in")[0]) == (
            0,
            f"✓ SINK at 127.0.0.1:{good.port}:",
        ), done.stderr
        assert good.callers == ["SAMSYN"]
        nowhere = gone.port
    file = with_peers(tmp_path, SINK=nowhere)
    done = await asyncio.to_thread(samsyn, "dicom", "echo", "-c", file)
    assert done.returncode == 1
    assert f"✗ SINK at 127.0.0.1:{nowhere}: SINK can not be reached" in done.stdout


async def test_a_title_that_is_no_destination_is_named(tmp_path: Path) -> None:
    async with Peer("SINK", [VERIFICATION]) as good:
        file = with_peers(tmp_path, SINK=good.port)
        done = await asyncio.to_thread(samsyn, "dicom", "echo", "-c", file, "SINK", "NORDPACS")
    assert done.returncode == 1
    assert "✗ NORDPACS: no dicom_peer" in done.stdout
    assert "✓ SINK" in done.stdout


async def test_a_peer_that_answers_with_a_failure_or_takes_no_echo_is_told(tmp_path: Path) -> None:
    async with Peer("SINK", [VERIFICATION]) as bad, Peer("OTHER", []) as deaf:
        bad.status = 0x0110
        file = with_peers(tmp_path, SINK=bad.port, OTHER=deaf.port)
        done = await asyncio.to_thread(samsyn, "dicom", "echo", "-c", file)
    assert done.returncode == 1
    assert f"✗ SINK at 127.0.0.1:{bad.port}: answers the C-ECHO with 0110H" in done.stdout
    assert f"✗ OTHER at 127.0.0.1:{deaf.port}: the peer did not accept {VERIFICATION}" in done.stdout
