"""`samsyn config` prints a file that means the same; a bad file is refused with its name and line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn import settings
from samsyn.cli.config import annotated
from samsyn.cli.scratch import make
from samsyn.errors import ConfigurationError
from samsyn.settings import Settings
from tests.cli.commands import PROVIDER, samsyn, settings_file


def again(values: Settings, folder: Path) -> Settings:
    """The settings read back from their own printout."""
    file = folder / "printed.toml"
    file.write_text(annotated(values), encoding="utf-8")
    return settings.load(file, {})


def test_the_defaults_read_back_as_they_were(tmp_path: Path) -> None:
    assert again(settings.load(None, {}), tmp_path) == settings.load(None, {})


def test_many_providers_read_back_as_they_were(tmp_path: Path) -> None:
    values = make(tmp_path).settings
    assert again(values, tmp_path) == values


def test_nobody_may_call_reads_back_as_nobody(tmp_path: Path) -> None:
    file = tmp_path / "samsyn.toml"
    file.write_text(PROVIDER.replace('"NORDPACS"', '"NORDPACS"\naddresses = []'))
    values = settings.load(file, {})
    assert values.provider[0].dicom_peer[0].addresses == ()
    assert again(values, tmp_path) == values


def test_renamed_claims_read_back_as_they_were(tmp_path: Path) -> None:
    values = Settings.model_validate({"login": {"claims": {"employee": "hsaIdentity", "unit": 'a "b"'}}})
    assert again(values, tmp_path) == values


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("[dicom]\nport", "[dicom]\nprt", "4: dicom.prt: there is no such setting: is port meant?"),
        ("[mllp]", "[mlpp]", "7: mlpp: there is no such setting: is mllp meant?"),
        (
            "ae_title",
            "ae_titel",
            "18: provider.dicom_peer.ae_titel: there is no such setting: is ae_title meant?",
        ),
        (
            "name =",
            "xyzzy = 1\nname =",
            "12: provider.xyzzy: there is no such setting; `samsyn config` prints all",
        ),
    ],
)
def test_a_name_that_is_none_is_told_with_the_one_that_may_be_meant(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    file = settings_file(tmp_path)
    file.write_text(file.read_text().replace(before, after, 1))
    with pytest.raises(ConfigurationError) as refused:
        settings.load(file, {})
    assert told in refused.value.detail


def test_a_file_in_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    file = settings_file(tmp_path)
    file.write_bytes(file.read_text().encode("iso-8859-1"))
    with pytest.raises(ConfigurationError, match=r"samsyn.toml:16: is no UTF-8"):
        settings.load(file, {})


@pytest.mark.parametrize(
    "login",
    [
        {"provider": "saml"},
        {"provider": "oidc"},
        {"public_address": "http://samsyn.region.example"},
        {"public_address": "https://samsyn.region.example/path"},
    ],
)
def test_a_login_that_is_not_whole_or_not_safe_is_refused(login: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="login"):
        Settings.model_validate({"login": login})


@given(name=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_name_reads_back_as_it_was(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    unit = {"hsa_id": "SE9990000001-1001", "name": name}
    provider = {"hsa_id": "SE9990000001-0001", "name": name, "unit": [unit]}
    values = Settings.model_validate({"data": {"folder": "d"}, "provider": [provider]})
    assert again(values, tmp_path_factory.getbasetemp()) == values


@pytest.mark.slow
def test_the_command_prints_what_is_in_force(tmp_path: Path) -> None:
    file = settings_file(tmp_path, (11112, 8081, 2575))
    printed = samsyn("config", "--config", file)
    assert printed.returncode == 0
    (tmp_path / "printed.toml").write_text(printed.stdout, encoding="utf-8")
    assert settings.load(tmp_path / "printed.toml", {}) == settings.load(file, {})


def test_every_setting_of_the_sections_is_explained() -> None:
    lines = annotated(settings.load(None, {})).splitlines()
    for place, line in enumerate(lines):
        if " = " in line and not line.startswith("#"):
            assert lines[place - 1].startswith("# "), line


def test_a_value_of_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    file = settings_file(tmp_path)
    assert settings.load(file, {"SAMSYN_HTTP_PORT": "8123"}).http.port == 8123
    with pytest.raises(ConfigurationError, match=r"http\.port"):
        settings.load(file, {"SAMSYN_HTTP_PORT": "no port"})


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[http]\nport = 8080\nprot = 1\n", 3, "http.prot"),
        ("[dicom]\nport = 1\n\n[http]\nport = 70000\n", 5, "http.port"),
        ("[htttp]\nport = 8080\n", 1, "htttp"),
        ('[dicom]\n[mllp]\nhost = "0.0.0.0"\n', 3, "not loopback"),
        ('[http]\nhost = "samsyn.region.example"\n', 2, "not loopback"),
        ('[dicom]\nhost = "::"\n', 2, "not loopback"),
        ('[data]\n[login]\nprovider = "oidc"\n', 2, "issuer"),
        ('[login]\nprovider = "none"\n', 2, "demo"),
        ('[login]\nprovider = "oidc"\nissuer = "http://idp.region.example"\n', 3, "https"),
        ('[login]\nprovider = "oidc"\nissuer = "idp.region.example"\n', 3, "https"),
        ('[login]\nassurance = ""\n', 2, "assurance"),
        ('[login]\nassurance = " "\n', 2, "assurance"),
        ("[national]\nevery_s = 60\nstale_after_s = 60\n", 1, "stale_after_s"),
        ("[national]\ngrants_every_s = 6\ngrants_stale_after_s = 10\n", 1, "grants_stale_after_s"),
        (PROVIDER.replace("SE9990000001-0001", "se9990000001-0001"), 3, "upper case"),
        (PROVIDER.replace("SE9990000001-0001", "SE9990000001-0001 "), 3, "upper case"),
        (PROVIDER.replace("SE9990000001-1001", "SE9990000001-1001a"), 7, "upper case"),
        (PROVIDER.replace("SE9990000001-1001", ""), 7, "upper case"),
        (f'{PROVIDER}[[provider.dicom_peer]]\nae_title = "NORDPACS"\n', 14, "AE title NORDPACS stands twice"),
        (f"{PROVIDER}{PROVIDER.replace('NORDPACS', 'OTHER')}", 15, "HSA-id"),
        (f'{PROVIDER}[[provider.dicom_peer]]\nae_title = "OTHER"\nmay_stroe = true\n', 15, "may_stroe"),
        (f'{PROVIDER}[[provider.dicom_peer]]\nae_title = "SEVENTEEN LETTERS"\n', 14, "ae_title"),
        (f'{PROVIDER}[[provider.dicom_peer]]\nhost = "127.0.0.1"\n', 13, "ae_title"),
        (f'{PROVIDER}addresses = ["10.0.0.0/40"]\n', 13, "addresses"),
        (f'{PROVIDER}unit = "SE9990000001-1009"\n', 2, "SE9990000001-1009"),
        (f'{PROVIDER}[[provider.token]]\nname = "web"\nsha256 = "short"\n', 15, "sha256"),
        ('[[provider]]\nhsa_id = "A"\nname = "A"\n', 1, "provider.unit"),
        ("[http\nport = 1\n", 1, ""),
        ("[http]\nport = 1\nport = 2\n", 3, ""),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_line(
    text: str, line: int, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "samsyn.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as refusal:
        settings.load(file, {})
    told = refusal.value.detail
    assert told.startswith(f"{file}:{line}:") or f"(at line {line}," in told, told
    assert words in told


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["serve", "check", "config"])
def test_a_command_with_a_bad_file_says_so_in_one_line(verb: str, tmp_path: Path) -> None:
    file = tmp_path / "samsyn.toml"
    file.write_text('[http]\nhost = "0.0.0.0"\n')
    ended = samsyn(verb, "--config", file)
    assert ended.returncode == (1 if verb == "check" else 2)
    (told,) = (ended.stdout + ended.stderr).splitlines()
    assert f"{file}:2:" in told


@pytest.mark.slow
def test_a_missing_file_is_named(tmp_path: Path) -> None:
    ended = samsyn("config", "--config", tmp_path / "none.toml")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "none.toml: No such file" in ended.stderr


def test_rules_of_recompression_read_back_as_they_were(tmp_path: Path) -> None:
    rules = [
        {"codec": "jpeg-ls", "modalities": ["CT", "MR"], "older_than_days": 30},
        {"codec": "htj2k", "providers": ["SE9990000001-0001"], "transfer_syntaxes": ["1.2.840.10008.1.2.1"]},
    ]
    values = Settings.model_validate({"data": {"settle_after_s": 3600}, "recompress": rules})
    assert again(values, tmp_path) == values


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({"codec": "jpeg"}, "codec"),
        ({"modalities": ["CT"]}, "codec"),
        (
            {"codec": "jpeg-ls", "transfer_syntaxes": ["1.2.840.10008.1.2.4.90"]},
            "no uncompressed transfer syntax",
        ),
        ({"codec": "jpeg-ls", "older_than_days": -1}, "older_than_days"),
        ({"codec": "jpeg-ls", "modality": "CT"}, "modality"),
        ({"codec": "jpeg-ls"}, r"needs \[data\] settle_after_s"),
    ],
)
def test_a_bad_rule_of_recompression_is_refused_by_name(rule: dict[str, object], named: str) -> None:
    settle_after_s = 0 if "settle_after_s" in named else 3600
    with pytest.raises(ValueError, match=named):
        Settings.model_validate({"data": {"settle_after_s": settle_after_s}, "recompress": [rule]})
