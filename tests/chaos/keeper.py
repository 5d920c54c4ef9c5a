"""Starts again what ends by itself, as systemd would, and remembers it: a crash of ours is a finding."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.chaos.plan import BRIDGE
from tests.chaos.stage import Stage
from tests.chaos.timing import pass_time
from tests.support.world import Service

LOOK_EVERY_S: Final = 0.5
LAST_WORDS: Final = 300  # characters of its log


class Keeper:
    def __init__(self, stage: Stage) -> None:
        self._services: Final[dict[str, Service]] = {BRIDGE: stage.bridge, **stage.agents}
        self._down: Final[set[str]] = set()
        self._full: Final[set[str]] = set()
        self.had_full_disk: Final[set[str]] = set()
        self.findings: Final[list[str]] = []

    @contextmanager
    def down(self, name: str) -> Iterator[Service]:
        """For as long as the block lasts its end is wanted."""
        self._down.add(name)
        try:
            yield self._services[name]
        finally:
            self._down.discard(name)

    @contextmanager
    def full_disk(self, name: str) -> Iterator[None]:
        """An agent that is started on a full disk may say so and end."""
        self.had_full_disk.add(name)
        self._full.add(name)
        try:
            yield
        finally:
            self._full.discard(name)

    async def run(self) -> None:
        """For ever."""
        while True:
            for name, service in self._services.items():
                if name not in self._down and not service.process.is_running():
                    self._note(name, service)
                    service.launch()
            await pass_time(LOOK_EVERY_S)

    def _note(self, name: str, service: Service) -> None:
        last_words = service.process.text()[-LAST_WORDS:].strip()
        if name in self._full or (name in self.had_full_disk and "full" in last_words.lower()):
            return
        self.findings.append(f"ended: {name} with {service.process.exit_code}: {last_words}")
