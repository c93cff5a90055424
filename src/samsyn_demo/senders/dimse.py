"""C-STORE by pynetdicom: one association at a time, objects in the transfer syntax that they are in."""

from pathlib import Path

from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from samsyn_demo.instances.objects import Instance
from samsyn_demo.senders.outcome import Refused, attempts

# Objects go out of their files as they are: nothing is parsed and written anew on the way.
_config.STORE_SEND_CHUNKED_DATASET = True

_TIMEOUT_SECONDS = 60
_ANSWER_SECONDS = 6
"""How long to wait for one answer. Short, because on a busy machine pynetdicom now and then loses one: between
two requests its own thread may take the answer off the queue (Association.run after `_reactor_checkpoint`)."""
_BUSY = range(0xA700, 0xA800)
"""Out of resources (PS3.4 table B.2-1): the same object may be sent again later."""


class StoreLine:
    """One system's line to the archive. It is opened when it is needed and again when it was lost.

    Every pair of SOP class and transfer syntax is proposed in a context of its own, so that nothing is converted.
    A pair that is new to the association ends it, and the next one proposes that pair as well.
    """

    def __init__(self, ae_title: str, host: str, port: int, called: str = "SAMSYN") -> None:
        self._ae = AE(ae_title=ae_title)
        self._ae.acse_timeout = self._ae.network_timeout = _TIMEOUT_SECONDS
        self._ae.dimse_timeout = _ANSWER_SECONDS
        self._ae.maximum_pdu_size = 0
        self._title, self._host, self._port, self._called = ae_title, host, port, called
        self._pairs: dict[tuple[str, str], None] = {}
        self._association: Association | None = None

    def close(self) -> None:
        """Releases the association."""
        if self._association is not None and self._association.is_established:
            self._association.release()
        self._association = None

    def store(self, instance: Instance, path: Path) -> None:
        """Sends the object that `path` holds; returns when the archive has answered success, else Refused.

        Without an answer the same object goes out again over a new association: the archive knows its bytes.
        """
        status = "no association"
        for _ in attempts():
            association = self._open((instance.sop_class_uid, instance.transfer_syntax_uid))
            if association is None:
                continue
            try:
                answer = association.send_c_store(path)
            except ValueError:
                raise Refused(f"{self._title}: {_kind(instance)} is not accepted by the archive") from None
            except RuntimeError:
                status = "the association was lost"
                self._association = None
                continue
            if "Status" not in answer:
                status = "the association was lost"
                self._association = None
                continue
            if answer.Status == 0x0000:
                return
            status = f"0x{answer.Status:04X}"
            if answer.Status not in _BUSY:
                break
        raise Refused(f"{self._title}: C-STORE of {_kind(instance)}: answered {status}")

    def _open(self, pair: tuple[str, str]) -> Association | None:
        current = self._association
        if current is not None and current.is_established and pair in self._pairs:
            return current
        self.close()
        self._pairs[pair] = None
        contexts: list[PresentationContext] = [build_context(*each) for each in self._pairs]
        association = self._ae.associate(self._host, self._port, contexts, ae_title=self._called)
        if association.is_rejected:
            raise Refused(f"{self._title}: the archive rejects the association")
        self._association = association if association.is_established else None
        return self._association


def _kind(instance: Instance) -> str:
    return f"an object of class {instance.sop_class_uid} in {instance.transfer_syntax_uid}"
