"""What an operator decides on: dead letters, results in quarantine."""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from agent.clock import Clock
from bridge.config import Settings
from bridge.relay.desk import Desk
from bridge.relay.ledger import Ledger
from bridge.relay.letters import DeadLetters
from bridge.relay.lost import Lost
from bridge.relay.quarantine import Quarantine
from bridge.relay.recorder import Recorder
from bridge.relay.replays import Replays
from bridge.relay.routes import LetterRoutes, QuarantineRoutes
from bridge.runs.carriage import Carriage
from bridge.web.cluster import Cluster


def carriage_of(
    settings: Settings,
    desk: Desk,
    ledger: Ledger,
    letters: DeadLetters,
    recorder: Recorder,
    quarantine: Quarantine,
    clock: Clock,
) -> Carriage:
    lost = Lost(recorder, ledger, clock, settings.policies)
    replays = Replays(letters, ledger, lost, recorder, quarantine)
    return Carriage(settings.ready_max, lambda: desk.broker, replays)


def deciding_routes(
    letters: DeadLetters, quarantine: Quarantine, carriage: Carriage | None, cluster: Cluster
) -> Sequence[BaseRoute]:
    superadmin, note = cluster.require_superadmin, cluster.audit.note
    replays = None if carriage is None else carriage.replays
    return [
        *LetterRoutes(letters, replays, superadmin, note).all(),
        *QuarantineRoutes(quarantine, superadmin, note).all(),
    ]
