"""What a process of the service does, where it listens, and what all of its parts share; it opens nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

from payments_service.actors.crew import Crew
from payments_service.actors.message_waker import MessageWaker
from payments_service.event_log.sequencer import Sequencer
from payments_service.event_log.tailer import Tailer
from payments_service.forwarding.targets import ForwardTargets
from payments_service.inbox.enquiry import Enquiry
from payments_service.inbox.reconciler import Reconciler
from payments_service.monitoring.process_gauges import ProcessGauges
from payments_service.orders.verdict import ClaimRules
from payments_service.rpc.callers import CallerResolver
from payments_service.settings import Settings
from payments_service.storage.database import Database
from payments_service.stripe_gateway.client import StripeGateway

Clock = Callable[[], datetime]


class Role(Enum):
    """What a process does; `payments up` does all of it."""

    GRPC = auto()
    BRIDGE = auto()
    WORKER = auto()
    SANDBOX = auto()


@dataclass(frozen=True, slots=True)
class Running:
    """Where a process listens; empty where it does not."""

    grpc_address: str = ""
    bridge_url: str = ""
    sandbox_url: str = ""
    webhook_secret: str = ""
    """The sandbox's, which is nobody's secret."""
    database: str = ""
    broker: str = ""
    metrics_url: str = ""


def clock() -> datetime:
    """Tell the host's time: Stripe's signatures are compared with it, and what `up` decides goes by it."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Core:
    """What every process of the service has."""

    settings: Settings
    webhook_secrets: tuple[str, ...]
    clock: Clock
    """What is decided by the time goes by it: on PostgreSQL it is the database's."""
    database: Database
    gateway: StripeGateway
    enquiry: Enquiry
    tailer: Tailer
    sequencer: Sequencer
    waker: MessageWaker
    crew: Crew
    callers: CallerResolver
    targets: ForwardTargets
    rules: ClaimRules
    reconciler: Reconciler
    gauges: ProcessGauges
    """What its parts let be read at a scrape."""
