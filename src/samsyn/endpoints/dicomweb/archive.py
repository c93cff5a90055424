"""Studies, series and instances as one ZIP file of Part 10 files (PS3.18 8.7.3.1: application/zip), streamed."""

import asyncio
import zipfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

from samsyn.access.view import Gatekeeper, View
from samsyn.dicom.part10 import file_preamble_and_meta
from samsyn.endpoints.dicomweb.answers import Answer, plain_refusal
from samsyn.endpoints.dicomweb.asked import Asked
from samsyn.endpoints.dicomweb.negotiation import Acceptable, Offer, weight
from samsyn.endpoints.dicomweb.target import Target
from samsyn.model.imaging import StoredInstance
from samsyn.retrieve.retrieve import Retriever

ZIP: Final = "application/zip"
_DICOM: Final = Offer("application/dicom", "")
_DAY: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a ZIP file can tell: when an object was filed is nothing to its reader."""
_GROUP_BYTES: Final = 256 * 1024
"""Small files leave together in pieces of about this size."""


def is_wanted(accepted: tuple[Acceptable, ...], *, rather: bool) -> bool:
    """Whether the client takes a ZIP file; `rather`: and likes it more than DICOM files. `*/*` never means one."""
    accepted = tuple(replace(each, transfer_syntax="") if each.kind == ZIP else each for each in accepted)
    weighed = weight(accepted, Offer(ZIP, ""), multipart=False, default=False)
    if weighed is None or not rather:
        return weighed is not None
    others = (weight(accepted, _DICOM, multipart=each, default=each) for each in (True, False))
    return all(other is None or weighed < other for other in others)


class Archives:
    """Answers with ZIP files."""

    def __init__(self, gatekeeper: Gatekeeper, retriever: Retriever) -> None:
        self._gatekeeper = gatekeeper
        self._retriever = retriever

    async def retrieve(self, view: View, target: Target, asked: Asked) -> Answer:
        """Everything under the target as `<series>/<instance>.dcm`, byte for byte as received, not compressed.

        A damaged object ends the connection before the directory at the end of the file, so that no reader takes
        what came for whole. 406 for who names a transfer syntax in which they are not all.
        """
        instances = await self._retriever.instances(
            view, target.study_uid, target.series_uid, target.sop_instance_uid
        )
        syntaxes = [each.transfer_syntax for each in asked.accepted if each.matches(ZIP) and each.quality > 0]
        stored = {instance.transfer_syntax_uid for instance in instances}
        if not ({"", "*"} & set(syntaxes) or any(stored == {uid} for uid in syntaxes)):
            return plain_refusal(406, "The files in a ZIP file are as they were received.")
        # A file to keep is a copy that is handed out, not a look (PDL 3:11).
        await self._gatekeeper.record_opening(view, target.study_uid, "export")
        name = target.sop_instance_uid or target.series_uid or target.study_uid
        headers = ((b"content-disposition", f'attachment; filename="{name}.zip"'.encode()),)
        return Answer(200, self._file(view, instances), ZIP.encode(), headers)

    async def _file(self, view: View, instances: Sequence[StoredInstance]) -> AsyncIterator[bytes]:
        written = _Written()
        with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
            for instance in instances:
                entry = zipfile.ZipInfo(f"{instance.series_uid}/{instance.sop_instance_uid}.dcm", _DAY)
                entry.external_attr = 0o600 << 16
                with archive.open(entry, "w", force_zip64=True) as member:
                    member.write(
                        file_preamble_and_meta(
                            instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid
                        )
                    )
                    async for piece in self._retriever.pieces(view, instance, proves=True):
                        await asyncio.to_thread(member.write, piece)
                        if written.size >= _GROUP_BYTES:
                            yield written.taken()
        yield written.taken()


class _Written:
    """What the ZIP writer has made and nobody has taken yet. It can not be sought in: sizes follow each member."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        """Takes some bytes."""
        self._pieces.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """What is left can still be taken."""

    def taken(self) -> bytes:
        """Everything since the last call."""
        joined = b"".join(self._pieces)
        self._pieces, self.size = [], 0
        return joined
