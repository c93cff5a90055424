"""`samsyn audit …`."""

import contextlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from samsyn import settings
from samsyn.audit import anchors
from samsyn.audit.anchors import Anchor
from samsyn.audit.deliveries import delivery_states
from samsyn.audit.proof import Proof, prove, prove_shared
from samsyn.clock import SystemClock
from samsyn.errors import BadInput, ConfigurationError
from samsyn.settings import Settings
from samsyn.store.index.port import FAULTS
from samsyn.store.index.sqlite import SqliteIndex
from samsyn.store.object_journal import ObjectJournal
from samsyn.store.objects.series_objects import SeriesObjects
from samsyn.store.opening import asking, open_index, open_objects


def verify(
    config: Path | None,
    data: Path | None,
    lines: tuple[str, ...] = (),
    files: tuple[Path, ...] = (),
    public_key: Path | None = None,
) -> int:
    """Checks chain, index and anchors; 0 = whole, 1 = changed."""
    values, folder = _folder(config, data)
    complaints: list[str] = []
    key = _public_key(values, public_key)
    known = [*_of_lines(lines), *_of_files(_files(values, files), complaints)]
    if key is not None:
        complaints += [
            f"The anchor at entry {anchor.sequence} is not signed by this installation's key."
            for anchor in known
            if not anchors.is_signed_by(anchor, key)
        ]
        known = [anchor for anchor in known if anchors.is_signed_by(anchor, key)]
    proof = _proof(values, folder, known)
    for complaint in complaints:
        print(complaint)
    for finding in proof.findings:
        print(f"The audit journal was changed: entry {finding.sequence} – {finding.sentence}.")
    for note in proof.notes:
        print(f"Note: {note}.")
    if proof.findings or complaints:
        return 1
    print(f"The audit journal is whole: {proof.entries} entries, {proof.anchors} anchors agree.")
    if proof.anchored < proof.entries:
        print(
            f"Note: anchors vouch for the entries up to {proof.anchored}; a cut behind that one would not be found."
        )
    return 0


def anchor(config: Path | None, data: Path | None) -> int:
    """Checks the journal and prints its anchor; 1 and no anchor when the journal was changed."""
    values, folder = _folder(config, data)
    proof = _proof(values, folder, [])
    if proof.findings:
        first = proof.findings[0]
        print(f"No anchor: entry {first.sequence} – {first.sentence}.")
        return 1
    file = values.audit.anchor_key_file
    made = Anchor(
        proof.journal or proof.head[:16],
        proof.entries,
        SystemClock().now().isoformat(timespec="seconds"),
        proof.head,
    )
    print(anchors.signed(made, anchors.signing_key(file) if file else None).line)
    return 0


def deliveries(config: Path | None, data: Path | None) -> int:
    """Prints how far each receiver has got the journal, and what was set aside; 1 when something was refused."""
    values, folder = _folder(config, data)
    values = values.model_copy(update={"data": values.data.model_copy(update={"folder": folder})})
    try:
        with asking(values) as connection:
            told = delivery_states(connection) if connection is not None else []
    except FAULTS as problem:
        raise ConfigurationError(f"the index can not be asked: {problem}") from problem
    if not told:
        print("No receiver has got anything yet.")
    for state in told:
        print(f"{state.receiver}: entries up to {state.delivered} of {state.entries} delivered.")
        for sequence, kind, reason in state.set_aside:
            print(f"  entry {sequence} set aside ({kind}): {reason}")
    return 1 if any(kind == "refused" for state in told for _, kind, _ in state.set_aside) else 0


def _proof(values: Settings, folder: Path, known: list[Anchor]) -> Proof:
    """OutOfResources: object store or database do not answer."""
    remote = open_objects(values.objects)
    if remote is None:
        return prove(folder, known)
    index = open_index(values) or SqliteIndex(folder / "index.sqlite")
    journal = ObjectJournal(remote, folder)
    try:
        with contextlib.ExitStack() as undo:
            connection = None
            if index.is_there():
                connection = undo.enter_context(contextlib.closing(index.open_reader(SeriesObjects(folder))))
            return prove_shared(journal, index, connection, known)
    finally:
        index.close()
        remote.close()


def _folder(config: Path | None, data: Path | None) -> tuple[Settings, Path]:
    values = settings.load(config)
    folder = data or values.data.folder
    if values.objects.kind == "folder" and not (folder / "journal").is_dir():
        raise ConfigurationError(f"{folder} is no data folder of Samsyn: there is no journal in it")
    return values, folder


def _public_key(values: Settings, file: Path | None) -> Ed25519PublicKey | None:
    if file is not None:
        return anchors.public_key(file)
    own = values.audit.anchor_key_file
    return anchors.signing_key(own).public_key() if own is not None else None


def _files(values: Settings, files: tuple[Path, ...]) -> list[Path]:
    own = values.audit.anchor_file
    return [*files, *([own] if own is not None else [])]


def _of_lines(lines: tuple[str, ...]) -> list[Anchor]:
    try:
        return [anchors.parse(line) for line in lines]
    except BadInput as problem:
        raise ConfigurationError(f"--anchor: {problem.detail}") from problem


def _of_files(files: list[Path], complaints: list[str]) -> list[Anchor]:
    found: list[Anchor] = []
    for file in files:
        try:
            for number, anchor_there in anchors.read_file(file):
                if anchor_there is None:
                    complaints.append(f"Line {number} of {file} is no anchor.")
                else:
                    found.append(anchor_there)
        except OSError as problem:
            raise ConfigurationError(f"{file}: {problem.strerror}") from problem
    return found
