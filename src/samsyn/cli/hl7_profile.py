"""`samsyn hl7 profile`: every rule of a profile with its meaning and the value in force, as a profile file."""

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from textwrap import wrap
from typing import Any

from samsyn.hl7v2 import profile as rules
from samsyn.hl7v2.paths import Path
from samsyn.hl7v2.profile import Condition, Profile
from samsyn.model.organisation import Owner
from samsyn.reports.profiles import load_profile

_WIDTH = 100


def run(name: str) -> None:
    """Prints the named profile (shipped or a file) whole; ConfigurationError when there is none."""
    print(annotated(load_profile(name)))


def annotated(profile: Profile) -> str:
    """TOML that reads back as the same profile."""
    notes = _notes()
    lines: list[str] = []
    tables: list[str] = []
    for field in fields(profile):
        value = getattr(profile, field.name)
        note = notes.get(("Profile", field.name), "")
        if is_dataclass(value) and not isinstance(value, type):
            tables += ["", *_comment(notes.get((type(value).__name__, ""), "")), f"[{field.name}]"]
            tables += _section(value, field.name, notes)
        elif isinstance(value, Mapping):
            if value:
                tables += ["", *_comment(note), f"[{field.name}]", *_entries(value)]
            else:
                tables += ["", *_comment(f"{note} [{field.name}] is empty.")]
        elif value is None:
            lines += ["", *_comment(note), f"# {field.name} ="]
        else:
            lines += ["", *_comment(note), f"{field.name} = {_written(value)}"]
    return "\n".join([*lines, *tables]).strip("\n")


def _section(value: Any, name: str, notes: Mapping[tuple[str, str], str]) -> list[str]:
    plain: list[str] = []
    tables: list[str] = []
    for field in fields(value):
        own = getattr(value, field.name)
        note = notes.get((type(value).__name__, field.name), "")
        if isinstance(own, Mapping):
            if own:
                tables += ["", *_comment(note), f"[{name}.{field.name}]", *_entries(own)]
            else:
                tables += ["", *_comment(f"{note} [{name}.{field.name}] is empty.")]
        else:
            plain += [*_comment(note), f"{field.name} = {_written(own)}"]
    return plain + tables


def _entries(table: Mapping[str, Any]) -> Iterator[str]:
    return (
        f"{json.dumps(word, ensure_ascii=False)} = {_written(meaning)}" for word, meaning in table.items()
    )


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, Owner):
        return f"{{ provider = {_written(value.provider)}, unit = {_written(value.unit)} }}"
    if isinstance(value, Path):
        return _written(_place(value))
    if isinstance(value, Condition):
        return _written(f"{_place(value.path)}={value.value}")
    return json.dumps(str(value), ensure_ascii=False)


def _place(path: Path) -> str:
    kind = f"({path.kind})" if path.kind else ""
    parts = [str(part) for part in (path.field, path.component, path.subcomponent) if part]
    return f"{path.segment}{kind}-{'.'.join(parts)}"


def _comment(note: str) -> list[str]:
    return [f"# {line}" for line in wrap(" ".join(note.split()), _WIDTH)]


def _notes() -> dict[tuple[str, str], str]:
    """What stands below each field and class in the source: (class, field) -> sentence, ("", ...) for the class."""
    found: dict[tuple[str, str], str] = {}
    for node in ast.parse(inspect.getsource(rules)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        found[node.name, ""] = ast.get_docstring(node) or ""
        before = ""
        for child in node.body:
            if isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
                before = child.target.id
            elif isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant) and before:
                found[node.name, before] = str(child.value.value)
                before = ""
    return found
