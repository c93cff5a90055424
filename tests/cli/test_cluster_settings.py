"""Settings of several nodes: what would lose bytes or mix nodes up does not start."""

from pathlib import Path

import pytest

from samsyn import settings
from samsyn.errors import ConfigurationError

WHOLE = """
[index]
kind = "postgresql"
address = "postgresql://samsyn@127.0.0.1/samsyn"
[objects]
kind = "s3"
endpoint = "https://127.0.0.1:8333"
bucket = "samsyn"
access_key_file = "a"
secret_key_file = "b"
[node]
name = "one"
number = 1
secret_file = "c"
"""


def loaded(tmp_path: Path, text: str) -> settings.Settings:
    file = tmp_path / "samsyn.toml"
    file.write_text(text)
    return settings.load(file, {})


def test_the_whole_form_and_the_bare_one_load(tmp_path: Path) -> None:
    assert loaded(tmp_path, WHOLE).node.durability == "object-store"
    own = WHOLE.replace("number = 1", 'number = 1\ndurability = "own-journal"')
    assert loaded(tmp_path, own).node.durability == "own-journal"
    assert loaded(tmp_path, "").objects.kind == "folder"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('name = "one"\n', "", "name and secret_file"),
        ('secret_file = "c"\n', "", "name and secret_file"),
        ('name = "one"', 'name = "One node"', "pattern"),
        ("number = 1", "number = 1000", "999"),
        ('kind = "s3"', 'kind = "folder"', "must not end with a node"),
        ('bucket = "samsyn"\n', "", "bucket"),
        ("https://127.0.0.1", "http://objects.example", "https"),
        ("samsyn@127", "samsyn:word@127", "without the password"),
        ("postgresql://samsyn@127.0.0.1/samsyn", "", "needs an address"),
        ("number = 1", 'durability = "own-journal"', "a number"),
        ('kind = "postgresql"', 'kind = "oracle"', "postgresql"),
    ],
)
def test_what_would_lose_bytes_or_mix_nodes_up_does_not_start(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    assert before in WHOLE
    with pytest.raises(ConfigurationError, match=said):
        loaded(tmp_path, WHOLE.replace(before, after, 1))


def test_nodes_whose_apps_are_told_who_it_is_sign_with_one_key(tmp_path: Path) -> None:
    app = """
[[app]]
client_id = "app"
name = "Appen"
redirect_uri = ["https://app.example/back"]
scope = ["patient/*.rs", "openid"]
"""
    with pytest.raises(ConfigurationError, match="key_file is missing"):
        loaded(tmp_path, WHOLE + app)
    assert loaded(tmp_path, WHOLE + app + '[smart]\nkey_file = "key.pem"\n').smart.key_file is not None
    assert loaded(tmp_path, app).smart.key_file is None
