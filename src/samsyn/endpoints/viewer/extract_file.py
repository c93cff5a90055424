"""The log extract as a file, made by a library that few need."""

import asyncio
from importlib import import_module

from samsyn.access.followup.elsewhere import ToldElsewhere
from samsyn.access.followup.extract import Extract
from samsyn.endpoints.viewer.language import Words
from samsyn.endpoints.viewer.wording import PatientShown
from samsyn.providers.connections import Connections


async def in_pdf(
    extract: Extract,
    patient: PatientShown,
    words: Words,
    names: Connections,
    provider: str,
    elsewhere: ToldElsewhere | None = None,
) -> bytes:
    """`extract_pdf`, whose library is loaded when the first extract is asked for, by a thread: it takes 0.1 s.

    What is made with it is made on the loop, one after the other: its parser of texts is one for the whole process.
    """
    writer = await asyncio.to_thread(import_module, "samsyn.endpoints.viewer.extract_pdf")
    made: bytes = writer.extract_pdf(extract, patient, words, names, provider, elsewhere)
    return made
