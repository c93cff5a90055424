"""Choosing a patient: from what somebody typed or an EHR sent, to the person and everybody linked to him.

This is the step before any View: it tells who the person is, never what exists about him.
"""

import secrets
from collections.abc import Iterable
from datetime import date
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from samsyn import limits
from samsyn.clock import Clock, Today
from samsyn.errors import NotFound
from samsyn.model.patient import Patient, PatientIdentifier
from samsyn.patients import registry
from samsyn.patients.identifiers import mistyped, population_number, recognise
from samsyn.patients.names import sought_words
from samsyn.store.index import identity_rows, instance_rows, patient_rows
from samsyn.store.index.port import IndexConnection
from samsyn.store.store import Store


class PatientLookup:
    """Looks persons up by number, identifier or handle."""

    def __init__(self, store: Store, clock: Clock, key: bytes = b"") -> None:
        """`key`: 32 bytes that the handles rest on, the same on all nodes; empty = one kept in the data folder."""
        self._store = store
        self._today = Today(clock)
        key = key or _secret(store.folder / "handles.key")
        self._key = key
        self._cipher = Cipher(algorithms.AES256(key), modes.ECB())  # noqa: S305 - one block, see below
        # ECB on a single random-keyed block is a plain permutation of 64-bit keys: what an opaque handle needs.

    def key_for(self, purpose: str) -> bytes:
        """32 bytes for another purpose than handles, from which theirs can not be told."""
        derived = HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode())
        return derived.derive(self._key)

    async def by_number(self, text: str) -> list[Patient]:
        """Everybody whom the text may mean, in any written form and of any issuer; usually one or none."""
        return await self._store.read(registry.patients_with(_meanings(text, self._today.date())))

    async def by_own_log_in(self, number: str) -> int | None:
        """Key of the person who has logged in with this personnummer or samordningsnummer; None: nobody has it here.

        Never somebody with the same digits under another issuer: a provider's own number that looks like it is not
        what the identity provider vouches for. It is the key that has the number, not the survivor's of merges: a
        session or an app goes on with it, and must not stay with a stranger when a wrong merge is taken back.
        """
        identifier = population_number(number, self._today.date())
        if identifier is None:
            return None
        issuer, value = identifier.issuer, identifier.value
        found = await self._store.read(partial(patient_rows.keys_of, issuer=issuer, value=value))
        return found[0] if len(found) == 1 else None

    async def by_identifier(self, identifier: PatientIdentifier) -> list[Patient]:
        """Whoever has this identifier, whichever way a Swedish number is written; an empty issuer means any."""
        recognised = recognise(identifier.value, self._today.date())
        if recognised is not None and recognised.identifier.issuer == identifier.issuer:
            identifier = recognised.identifier
        return await self._store.read(registry.patients_with([identifier]))

    async def near(self, text: str) -> list[PatientIdentifier]:
        """Numbers that exist here and differ from the one that was typed by one wrong digit or two exchanged.

        For suggesting, never for opening: at most limits.MAX_SUGGESTIONS, none that belongs to somebody with
        protected identity.
        """
        candidates = [each.identifier for each in mistyped(text, self._today.date())]
        return await self._store.read(partial(_existing, identifiers=candidates))

    async def by_name(self, text: str, birth: str = "") -> list[Patient]:
        """Persons whose names have all the words, in any order and by their beginnings; at most MAX_NAME_MATCHES.

        `birth`: YYYY, YYYYMM or YYYYMMDD. Nobody with protected identity is found by name. Empty for one word
        without a birth date and for less than `limits.MIN_NAME_LETTERS` letters: that lists people instead of
        finding one.
        """
        words = sought_words(text)
        if sum(len(word) for word in words) < limits.MIN_NAME_LETTERS or (len(words) < 2 and not birth):
            return []
        return await self._store.read(partial(_named, words=words, birth=birth))

    async def patient(self, key: int) -> Patient:
        """The person (the survivor, when merged); NotFound for an unknown key."""
        return await self._store.read(partial(_patient, key=key))

    async def linked(self, key: int) -> frozenset[int]:
        """Keys of the person and everybody linked to him by merges."""
        return await self._store.read(partial(patient_rows.closure_of, key=key))

    async def numbers(self, keys: Iterable[int]) -> dict[int, tuple[PatientIdentifier, ...]]:
        """The identifiers that each of these persons was filed under, without those of linked ones."""
        wanted = sorted(set(keys))
        return await self._store.read(partial(identity_rows.numbers_of, keys=wanted))

    async def person_of_study(self, study_uid: str) -> int | None:
        """Key of the person whom a study is filed under, or None. Says nothing about who may see the study."""
        facts = await self._store.read(partial(instance_rows.study_facts, study_uid=study_uid))
        return facts[1].patient_key if facts else None

    def handle(self, key: int) -> str:
        """An opaque name of the person for addresses: says nothing and is the same on every call."""
        encryptor = self._cipher.encryptor()
        return (encryptor.update(b"samsyn-p" + key.to_bytes(8, "big")) + encryptor.finalize()).hex()

    def key_of(self, handle: str) -> int:
        """The person behind a handle; NotFound when it is none of ours."""
        try:
            data = bytes.fromhex(handle)
        except ValueError:
            raise NotFound from None
        if len(data) != 16:
            raise NotFound
        decryptor = self._cipher.decryptor()
        plain = decryptor.update(data) + decryptor.finalize()
        if not plain.startswith(b"samsyn-p"):
            raise NotFound
        return int.from_bytes(plain[8:], "big")


def _meanings(text: str, today: date) -> list[PatientIdentifier]:
    recognised = recognise(text, today)
    values = dict.fromkeys([text.strip(), *([recognised.identifier.value] if recognised else [])])
    return [PatientIdentifier("", value) for value in values]


def _existing(connection: IndexConnection, identifiers: list[PatientIdentifier]) -> list[PatientIdentifier]:
    found = []
    for identifier in identifiers:
        for key in patient_rows.keys_of(connection, identifier.issuer, identifier.value):
            if not _patient(connection, key).demographics.protected:
                found.append(identifier)
    return found[: limits.MAX_SUGGESTIONS]


def _named(connection: IndexConnection, words: tuple[str, ...], birth: str) -> list[Patient]:
    keys = identity_rows.keys_by_words(connection, words, birth, limits.MAX_NAME_MATCHES)
    roots = dict.fromkeys(patient_rows.root(connection, key) for key in keys)
    people = [patient_rows.patient(connection, root) for root in roots]
    return [person for person in people if not person.demographics.protected]


def _patient(connection: IndexConnection, key: int) -> Patient:
    return patient_rows.patient(connection, patient_rows.root(connection, key))


def _secret(path: Path) -> bytes:
    """32 random bytes that belong to this installation."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()
