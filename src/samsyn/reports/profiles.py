"""Profiles of HL7 sources from disk: shipped ones by name, own ones by path."""

from importlib import resources
from pathlib import Path

from samsyn.errors import ConfigurationError
from samsyn.hl7v2.profile import Profile, read_profile


def shipped_profiles() -> tuple[str, ...]:
    """Names of the profiles that come with Samsyn."""
    folder = resources.files("samsyn.hl7v2.profiles")
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_profile(name: str) -> Profile:
    """The shipped profile of that name, else the file at that path; ConfigurationError names what is wrong."""
    text = _text(name)
    try:
        return read_profile(text)
    except ConfigurationError as problem:
        raise ConfigurationError(f"profile {name}: {problem.detail}") from None


def _text(name: str) -> str:
    if name in shipped_profiles():
        return (resources.files("samsyn.hl7v2.profiles") / f"{name}.toml").read_text(encoding="utf-8")
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as problem:
        known = ", ".join(shipped_profiles())
        raise ConfigurationError(
            f"profile {name!r} is neither shipped ({known}) nor a readable file: {problem}"
        ) from None
