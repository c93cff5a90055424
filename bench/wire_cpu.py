"""CPU of the sans-IO DICOM code per C-STORE message: `python bench/wire_cpu.py`. No sockets, no disk."""

import time

from samsyn.wire import dimse, pdu
from samsyn.wire.assembly import Message, encode_message
from samsyn.wire.association import Association
from samsyn.wire.negotiation import Implementation, own_user_information
from samsyn.wire.pdu import ContextResult, ProposedContext
from samsyn.wire.upper_layer import AssociationRequested
from samsyn.wire.user_information import RoleSelection

MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
OWN = Implementation("2.25.1", "SAMSYN_BENCH")


def _choose(context: ProposedContext) -> str | ContextResult:
    return context.transfer_syntaxes[0]


def _grant(role: RoleSelection) -> RoleSelection | None:
    return role


def _established() -> Association:
    association = Association()
    association.upper.connected()
    contexts = (ProposedContext(1, MR, (EXPLICIT,)),)
    request = pdu.AssociateRequest("SAMSYN", "BENCH", contexts, own_user_information(OWN))
    association.upper.receive(pdu.encode_control(request))
    (asked,) = association.take_indications()
    assert isinstance(asked, AssociationRequested)
    association.accept(asked.request, _choose, _grant, OWN)
    association.upper.take_output()
    return association


def _receive(size_bytes: int, peer_pdu: int, read_bytes: int, messages: int) -> tuple[float, float]:
    """CPU ms per message: all, and without the copy that stands for the kernel's into the buffer."""
    association = _established()
    upper = association.upper
    uid = "1.2.826.0.1.3680043.8.498.12345678901234567890"
    data = memoryview(encode_message(1, dimse.StoreRequest(7, MR, uid), bytes(size_bytes), peer_pdu))
    copying = 0.0
    begin = time.process_time()
    for _ in range(messages):
        position = 0
        while position < len(data):
            buffer = upper.get_buffer()
            count = min(len(buffer), len(data) - position, read_bytes)
            before = time.perf_counter()
            buffer[:count] = data[position : position + count]
            copying += time.perf_counter() - before
            upper.buffer_updated(count)
            position += count
        (message,) = association.take_indications()
        assert isinstance(message, Message)
        assert message.data is not None
        assert len(message.data) == size_bytes
        association.send(1, dimse.StoreResponse(7, 0, MR, uid))
        upper.take_output()
    spent = time.process_time() - begin
    return 1000 * spent / messages, 1000 * (spent - copying) / messages


def _send(size_bytes: int, peer_pdu: int, messages: int) -> float:
    """CPU ms to make one C-STORE request."""
    data = bytes(size_bytes)
    begin = time.process_time()
    for number in range(messages):
        encode_message(1, dimse.StoreRequest(number % 0xFFFF, MR, "1.2.3"), data, peer_pdu)
    return 1000 * (time.process_time() - begin) / messages


def main() -> None:
    """Prints one line per size and PDU length."""
    _receive(136_000, 131_072, 1 << 18, 200)
    for size_bytes, messages in ((136_000, 2000), (529_000, 600)):
        for peer_pdu in (16_384, 131_072):
            for read_bytes in (65_536, 1 << 18):
                whole, own = _receive(size_bytes, peer_pdu, read_bytes, messages)
                print(
                    f"C-STORE {size_bytes // 1000} kB, PDU {peer_pdu}, reads of {read_bytes}: "
                    f"{whole:.3f} ms CPU, {own:.3f} ms without the read itself; "
                    f"making one {_send(size_bytes, peer_pdu, messages):.3f} ms"
                )


if __name__ == "__main__":
    main()
