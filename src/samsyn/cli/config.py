"""`samsyn config`: the settings as an annotated file."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from samsyn import settings
from samsyn.settings.contracts import ConsumerSettings, ReleaseSettings, SourceSystemSettings
from samsyn.settings.receivers import Hl7ReceiverSettings
from samsyn.settings.recompression import RecompressSettings
from samsyn.settings.smart import AppSettings, BackendSettings


def run(config: Path | None) -> None:
    """Prints the file."""
    print(annotated(settings.load(config)))


def annotated(values: settings.Settings) -> str:
    """Every section and key with its description, the value in force behind it."""
    lines = [f"# {line}" for line in (settings.__doc__ or "").strip().splitlines()]
    for name in settings.SECTIONS:
        lines += ["", *_section(f"[{name}]", getattr(values, name))]
    for provider in values.provider:
        lines += ["", *_section("[[provider]]", provider)]
    if not values.provider:
        lines += [
            "",
            "# Connected providers: one [[provider]] with at least one [[provider.unit]] each, and its",
        ]
        lines += ["# [[provider.dicom_peer]], [[provider.hl7_source]], [[provider.token]] and"]
        lines += ["# [[provider.certificate]] systems."]
        for kind in (
            settings.ProviderSettings,
            settings.UnitSettings,
            settings.DicomPeerSettings,
            SourceSystemSettings,
            Hl7ReceiverSettings,
            ReleaseSettings,
            ConsumerSettings,
            BackendSettings,
            AppSettings,
        ):
            lines += [f"# {kind.__name__.removesuffix('Settings')}: " + ", ".join(kind.model_fields)]
    for consumer in values.consumer:
        lines += ["", *_section("[[consumer]]", consumer)]
    for rule in values.recompress:
        lines += ["", *_section("[[recompress]]", rule)]
    if not values.recompress:
        lines += ["", "# Lossless recompression of settled series: any number of [[recompress]], with"]
        lines += [f"# {name}: {field.description}" for name, field in RecompressSettings.model_fields.items()]
    for app in values.app:
        lines += ["", *_section("[[app]]", app)]
    return "\n".join(lines) + "\n"


def _section(heading: str, section: BaseModel) -> list[str]:
    lines = [f"# {(type(section).__doc__ or '').strip().splitlines()[0]}", heading]
    nested: list[str] = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            inner = heading.strip("[]")
            for each in value:
                nested += ["", *_section(f"[[{inner}.{name}]]", each)]
            continue
        if isinstance(value, BaseModel):
            if value != field.default:
                nested += ["", *_section(f"[{heading.strip('[]')}.{name}]", value)]
            continue
        if isinstance(value, tuple) and not value and not field.default:
            continue
        if field.description:
            lines.append(f"# {field.description}")
        lines.append(f"{name} = {_toml(value)}" if value is not None else f"# {name} =")
    return lines + nested


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(name)} = {_toml(each)}" for name, each in value.items()) + "}"
    # TOML's basic strings are JSON's, but for DEL, which TOML wants escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
