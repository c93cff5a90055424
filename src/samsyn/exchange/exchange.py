"""Everything that Samsyn says to other archives of its own accord, put together."""

from samsyn import limits
from samsyn.access.view import Gatekeeper
from samsyn.clock import Clock
from samsyn.exchange.announcing import CorrectionNotices, work_of
from samsyn.exchange.availability import AVAILABILITY_JOB, AvailabilityNotices
from samsyn.exchange.commitment import STORAGE_COMMITMENT_JOB, Commitments
from samsyn.exchange.pool import AssociationPool
from samsyn.exchange.prefetch import PREFETCH_JOB, Prefetching
from samsyn.exchange.security import caller_context
from samsyn.exchange.sending import SEND_JOB, Sending
from samsyn.exchange.text_notices import TextNotices
from samsyn.jobs.leases import Leases
from samsyn.jobs.queue import Patience, Worker
from samsyn.providers.connections import Connections
from samsyn.render.transcoding import Transcoder
from samsyn.reports.examination import History
from samsyn.retrieve.retrieve import Retriever
from samsyn.settings import Settings
from samsyn.store.store import Store

_PATIENCE = Patience(limits.OUTGOING_ATTEMPTS, limits.OUTGOING_RETRY_S)


class Exchange:
    """The associations to others, what is said over them, and the worker that says it. One per server."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        settings: Settings,
        connections: Connections,
        gatekeeper: Gatekeeper,
        retriever: Retriever,
        transcoder: Transcoder,
        patience: Patience = _PATIENCE,
        leases: Leases | None = None,
    ) -> None:
        """`leases`: by which nodes agree who delivers what.

        ConfigurationError: the certificates of [dicom_tls] can not be used.
        """
        title = settings.dicom.ae_title
        self.pool = AssociationPool(clock, title, caller_context(settings.dicom_tls))
        self.commitments = Commitments(
            store, clock, retriever, gatekeeper, connections, self.pool, self._wake
        )
        self.notices = AvailabilityNotices(
            store, retriever, gatekeeper, connections, self.pool, title, self._wake
        )
        self.sending = Sending(
            store, clock, retriever, transcoder, gatekeeper, connections, self.pool, self._wake
        )
        self.prefetching = Prefetching(
            store, clock, gatekeeper, connections, settings.provider, self.sending, self._wake
        )
        self.corrections = CorrectionNotices(
            store, clock, connections, self.pool, self.notices.series_complete
        )
        self.texts = TextNotices(
            store, connections, gatekeeper, History(store), caller_context(settings.mllp_tls, "mllp_tls")
        )
        self.worker = Worker(
            store,
            clock,
            {
                STORAGE_COMMITMENT_JOB: self.commitments.work,
                SEND_JOB: self.sending.work,
                AVAILABILITY_JOB: self.notices.work,
                PREFETCH_JOB: self.prefetching.work,
                **work_of(self.corrections),
                **self.texts.work_by_kind(),
            },
            limits.MAX_OUTGOING_JOBS,
            patience,
            leases,
        )

    def start(self) -> None:
        """Begins to deliver, on the running event loop."""
        self.worker.start()

    async def stop(self) -> None:
        """Ends what is under way, which goes on after the next start, and releases the associations."""
        await self.worker.stop()
        await self.pool.stop()

    def readings(self) -> list[tuple[str, str, int]]:
        """Name, meaning and value of the metrics."""
        return [
            ("commitments_total", "Answers to storage commitment delivered", self.commitments.answered),
            ("instances_sent_total", "Instances sent to other archives", self.sending.sent),
            ("prefetches_total", "Transfers asked for by prefetching", self.prefetching.asked),
            ("rejection_notes_total", "Rejection notes delivered", self.corrections.sent),
            ("hl7_corrections_total", "HL7 messages about corrections accepted", self.texts.told),
            ("notices_total", "Notifications of availability delivered", self.notices.told),
            ("dicom_opened_total", "DICOM associations that we opened", self.pool.opened),
            ("dicom_unreachable_total", "Attempts to open one that failed", self.pool.failed),
            ("exchange_parked_total", "Deliveries given up", self.worker.parked),
        ]

    def _wake(self) -> None:
        self.worker.wake()
