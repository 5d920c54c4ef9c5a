"""How this bridge stands at the moment, as its probes and its figures say it."""

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography import x509

from agent.clock import Clock
from agent.release import version
from bridge.metrics.families import Standing

CERTIFICATE_FRESH_S: Final = 300.0  # it may be replaced while the bridge runs


class Standings:
    def __init__(
        self,
        leads: Callable[[], bool],
        broker_up: Callable[[], bool] | None,
        certificate: Path | None,
        clock: Clock,
    ) -> None:
        """`broker_up` None: it has no broker. `certificate`: what it serves HTTPS with, if it does."""
        self._leads = leads
        self._broker_up = broker_up
        self._certificate = certificate
        self._clock = clock
        self._ends: float | None = None
        self._read_s: float | None = None
        self._version = version()

    def now(self) -> Standing:
        return Standing(
            version=self._version,
            python=platform.python_version(),
            leads=self._leads(),
            broker_up=None if self._broker_up is None else self._broker_up(),
            certificate_ends=self._certificate_ends(),
        )

    def _certificate_ends(self) -> float | None:
        now_s = self._clock.monotonic_s()
        if self._certificate is None:
            return None
        if self._read_s is None or now_s - self._read_s > CERTIFICATE_FRESH_S:
            self._read_s = now_s
            try:
                found = x509.load_pem_x509_certificates(self._certificate.read_bytes())
                self._ends = found[0].not_valid_after_utc.timestamp()
            except (OSError, ValueError):
                self._ends = None
        return self._ends
