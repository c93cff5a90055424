"""The national blocking service, version 4: asking for blocks and reading the answer.

What can not be understood of a block makes it cover more, never less; elements that are new to us are passed over.
"""

import re
from dataclasses import dataclass
from typing import Final

from lxml import etree

from samsyn.access.national.elements import moment_of, text_of
from samsyn.access.national.soap import Element, SoapClient
from samsyn.clock import swedish_day
from samsyn.errors import OutOfResources
from samsyn.model.national import NationalBlock, NationalLift
from samsyn.model.registers import BlockKind

_CORE: Final = "urn:riv:informationsecurity:authorization:blocking:4"
_GET: Final = "urn:riv:informationsecurity:authorization:blocking:GetBlocksResponder:4"
_HYPHENED: Final = re.compile("([0-9]{8})[-+]([0-9A-Z]{4})", re.ASCII)
"""A person number as people write it; the contract's has twelve characters and no separator."""
ACTION: Final = f"{_GET}:GetBlocks"
"""SOAPAction of GetBlocks."""


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """One answer. `created_next`: where the next reading goes on; `cancelled`: when a block was last taken away."""

    blocks: tuple[NationalBlock, ...]
    created_next: str
    cancelled: str


async def get_blocks(client: SoapClient, created_on_or_after: str = "") -> BlockHeader:
    """Blocks in force, all of them or those stored since. OutOfResources: no usable answer."""
    request = etree.Element(f"{{{_GET}}}GetBlocks", nsmap={None: _GET})
    if created_on_or_after:
        etree.SubElement(request, f"{{{_GET}}}createdOnOrAfter").text = created_on_or_after
    answer = await client.call(ACTION, request)
    header = answer.find(f"{{{_GET}}}blockHeader")
    if answer.tag != f"{{{_GET}}}GetBlocksResponse" or header is None:
        raise OutOfResources("the blocking service answers something else")
    if _text(header, "result", "resultCode") not in ("OK", "INFO"):
        raise OutOfResources("the blocking service refuses")
    created_next = _text(header, "nextCreatedOnOrAfter")
    if moment_of(created_next) is None:
        raise OutOfResources("the blocking service does not say how far it has told")
    blocks = tuple(dict.fromkeys(_block(each) for each in header.findall(f"{{{_CORE}}}blocks")))
    if len({each.block_id for each in blocks}) < len(blocks):
        # Kept by their ids, one would take the other's place and open what that hides.
        raise OutOfResources("the blocking service tells two different blocks under one id")
    return BlockHeader(blocks, created_next, _text(header, "latestCancellation"))


def _block(element: Element) -> NationalBlock:
    block_id, provider = _text(element, "blockId"), _text(element, "informationCareProviderId").upper()
    issuer = _text(element, "patientId", "root").removeprefix("urn:oid:")
    number = _text(element, "patientId", "extension").upper()
    if (written := _HYPHENED.fullmatch(number)) is not None:
        number = "".join(written.groups())
    if not block_id or not provider or not number:
        raise OutOfResources("the blocking service tells a block without id, provider or patient")
    # An unknown kind, and an inner block that names no unit, hide the whole provider.
    unit = _text(element, "informationCareUnitId").upper()
    inner = _text(element, "blockType") == "Inner"
    lifts = tuple(
        lift for each in element.findall(f"{{{_CORE}}}temporaryRevokes") if (lift := _lift(each)) is not None
    )
    return NationalBlock(
        block_id,
        issuer,
        number,
        BlockKind.INNER if inner else BlockKind.OUTER,
        provider,
        unit if inner else "",
        _day(_text(element, "informationStartDate")),
        _day(_text(element, "informationEndDate")),
        lifts,
    )


def _lift(element: Element) -> NationalLift | None:
    """None for a lift that can not be understood: it opens nothing."""
    lift_id, unit = _text(element, "temporaryRevokeId"), _text(element, "revokedForCareUnitId").upper()
    ends = moment_of(_text(element, "endDate"))
    if not lift_id or not unit or ends is None:
        return None
    return NationalLift(lift_id, unit, _text(element, "revokedForEmployeeId").upper(), ends)


def _text(parent: Element, *names: str) -> str:
    return text_of(parent, _CORE, *names)


def _day(text: str) -> int | None:
    """The Swedish day (YYYYMMDD); None, which bounds nothing, for none and for what is no time."""
    moment = moment_of(text)
    return swedish_day(moment) if moment is not None else None
