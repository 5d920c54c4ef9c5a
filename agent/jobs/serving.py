"""What a job may ask of its agent while it runs, as the runner sees it."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from agent.wire.messages import Job


@dataclass(slots=True)
class Served:
    """One job that runs."""

    env: Mapping[str, str] = field(default_factory=dict)  # where it asks
    hidden: tuple[str, ...] = ()  # secrets that it may be told, which its log must not show
    has_set_state: bool = False  # since it was started


class Serving(Protocol):
    def serve(self, job: Job) -> AbstractContextManager[Served]:
        """It may ask for as long as the block lasts."""
        ...

    def progress(self) -> Mapping[str, str]:
        """Running job → percent, of those that said so."""
        ...


class NoServing:
    """Jobs ask the cluster alone."""

    @contextmanager
    def serve(self, _job: Job) -> Iterator[Served]:
        yield Served()

    def progress(self) -> Mapping[str, str]:
        return {}
