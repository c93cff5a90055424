"""Audit entries leave only to somebody who is named, proved and not overheard."""

from pathlib import Path

import pytest

from samsyn.errors import ConfigurationError
from samsyn.settings import load


def loaded(folder: Path, text: str) -> None:
    file = folder / "samsyn.toml"
    file.write_text(text)
    load(file, {})


@pytest.mark.parametrize(
    "text",
    [
        '[storelog]\nurl = "http://log.example/StoreLog"\nsystem_id = "SE1"',
        '[storelog]\nurl = "ftp://127.0.0.1/"\nsystem_id = "SE1"',
        '[storelog]\nurl = "no address"\nsystem_id = "SE1"',
        '[storelog]\nurl = "https://log.example/StoreLog"',
        '[atna]\nhost = "log.example"\ntls = false',
    ],
)
def test_an_unsafe_receiver_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        loaded(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        '[storelog]\nurl = "https://log.example/StoreLog"\nsystem_id = "SE1"',
        '[storelog]\nurl = "http://127.0.0.1:8443/StoreLog"\nsystem_id = "SE1"',
        '[atna]\nhost = "log.example"',
        '[atna]\nhost = "127.0.0.1"\ntls = false',
    ],
)
def test_a_safe_receiver_is_taken(text: str, tmp_path: Path) -> None:
    loaded(tmp_path, text)
