"""Who sent a message, as the broker vouches for it."""

from dataclasses import dataclass
from urllib.parse import unquote

from aio_pika.abc import AbstractIncomingMessage

from agent.wire.claims import TokenId, WorkerName
from agent.wire.tokens import split_login


@dataclass(frozen=True, slots=True)
class Sender:
    worker: WorkerName
    token_id: TokenId  # with which it had logged in


def sender_of(message: AbstractIncomingMessage) -> Sender | None:
    """None: nobody vouches for it.

    The broker compares `user_id` with the log-in, and lets nobody write a routing key that is not his own.
    """
    worker, token = split_login(message.user_id or "")
    writes_as = unquote((message.routing_key or "").partition(".")[2])
    return Sender(worker, token) if worker and worker == writes_as else None
