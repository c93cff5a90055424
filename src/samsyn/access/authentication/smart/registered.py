"""The apps and servers that the settings register, and the authority over them."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from samsyn.access.authentication.smart.authority import SmartAuthority
from samsyn.access.authentication.smart.scopes import OFFLINE, OPENID
from samsyn.access.authentication.smart.signing import IdTokens, signing_key
from samsyn.access.authentication.smart.words import App, Backend
from samsyn.access.waiting import WaitingRooms
from samsyn.clock import Clock
from samsyn.errors import ConfigurationError
from samsyn.model.subject import Subject
from samsyn.settings import Settings


def smart_authority(
    settings: Settings,
    subjects: Mapping[str, Subject],
    rooms: WaitingRooms,
    clock: Clock,
    base: str,
    address: str,
    lives: Callable[[str], bool],
) -> SmartAuthority:
    """The authorization server. `subjects`: what each server reads as, by client id. `lives`: whether the log-in
    session with a mark goes on.

    ConfigurationError: a file of keys can not be read, or holds no public RSA or EC keys with names (kid), or for
    ID tokens no private RSA key.
    """
    apps = {
        each.client_id: App(
            each.client_id,
            each.name,
            tuple(each.redirect_uri),
            tuple(each.scope),
            each.secret_sha256,
            timedelta(days=each.offline_days if OFFLINE in each.scope else 0),
        )
        for each in settings.app
    }
    backends = {
        each.client_id: Backend(
            each.client_id, subjects[each.client_id], tuple(each.scope), _keys(each.jwks_file)
        )
        for provider in settings.provider
        for each in provider.backend
        if each.client_id in subjects
    }
    id_tokens = None
    if any(OPENID in each.scopes for each in apps.values()):
        id_tokens = IdTokens(clock, f"{address}/smart", base, signing_key(settings.smart.key_file))
    return SmartAuthority(clock, rooms, apps, backends, base, address, id_tokens, lives)


def _keys(file: Path) -> KeySet:
    try:
        told: Any = json.loads(file.read_text(encoding="utf-8"))
        keys = told["keys"]
        if not keys or any(
            each.get("kty") not in ("RSA", "EC") or "d" in each or not each.get("kid") for each in keys
        ):
            raise ConfigurationError(f"{file}: only public RSA or EC keys with a kid belong there")
        return KeySet.import_key_set(told)
    except OSError as problem:
        raise ConfigurationError(f"{file}: {problem.strerror}") from problem
    except (JoseError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise ConfigurationError(f"{file} holds no JWKS") from problem
