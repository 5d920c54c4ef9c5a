"""The names of things, and what a token proved about an agent."""

from dataclasses import dataclass
from typing import NewType

JobId = NewType("JobId", str)
WorkerName = NewType("WorkerName", str)
Tag = NewType("Tag", str)
Attempt = NewType("Attempt", int)
TokenId = NewType("TokenId", str)  # names an agent token and gives nothing of it away


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token proved. Only the verifier makes one, so holding one is the proof."""

    worker: WorkerName
    worker_group: str
    tags: frozenset[Tag]
    expires_s: int  # seconds since the epoch, UTC
    token_id: TokenId = TokenId("")  # of the token that proved it
    shared: bool = False  # minted for any number of machines
    device: str = ""  # the id of the device key that the bearer proved to have

    def may_run(self, tag: Tag) -> bool:
        return tag in self.tags  # I4: no other line in the agent compares tags
