"""Both languages say the same things."""

import re
from pathlib import Path

import pytest

from samsyn.endpoints.viewer import language
from samsyn.endpoints.viewer.language import Languages

FOLDER = Path(language.__file__).with_name("locale")
TEMPLATES = Path(language.__file__).with_name("templates")


def test_every_text_has_the_same_places_in_both_languages() -> None:
    tables = [language._table(FOLDER / f"{name}.toml") for name in language.LANGUAGES]
    assert set(tables[0]) == set(tables[1])
    for key, text in tables[0].items():
        places = [set(re.findall(r"{(\w+)}", each)) for each in (text, tables[1][key])]
        assert places[0] == places[1], key
        assert text.strip() and tables[1][key].strip(), key


def test_a_text_that_only_one_language_has_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "sv.toml").write_text('[page]\nlogin = "Logga in"\nonly = "Bara här"\n', encoding="utf-8")
    (tmp_path / "en.toml").write_text('[page]\nlogin = "Log in"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.only"):
        Languages(tmp_path)


def test_every_text_that_the_templates_name_exists() -> None:
    languages = Languages(FOLDER)
    named = {
        key
        for template in TEMPLATES.glob("*.html")
        for key in re.findall(r'words\("([a-z_]+\.[a-zA-Z_]+)"', template.read_text(encoding="utf-8"))
        if not key.endswith("_")
    }
    assert len(named) > 100
    assert [key for key in named if not languages.has(key)] == []


def test_no_template_has_words_of_its_own() -> None:
    allowed = {"Samsyn"}
    for template in TEMPLATES.glob("*.html"):
        text = re.sub(r"{% block body_class %}.*?{% endblock %}", "", template.read_text(encoding="utf-8"))
        text = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", text, flags=re.S)
        text = re.sub(r"<[^>]*>", " ", text)
        found = set(re.findall(r"[A-Za-zÅÄÖåäö]{3,}", text)) - allowed
        assert found == set(), template.name


def test_no_template_has_inline_script_or_style() -> None:
    for template in TEMPLATES.glob("*.html"):
        text = template.read_text(encoding="utf-8")
        assert re.search(r"\son[a-z]+\s*=|\sstyle\s*=|<style|javascript:|hx-on", text) is None, template.name
        assert re.search(r"<script(?![^>]*\ssrc=)", text) is None, template.name
        assert re.search(r"https?://", text) is None, template.name
