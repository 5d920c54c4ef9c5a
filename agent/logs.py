"""Our own log (not the jobs' text): events with fields, and a type for secrets."""

import logging
import sys
from dataclasses import dataclass
from typing import Final, Literal

import structlog

CLIENTS_OWN: Final = ("aiormq", "aio_pika")  # tracebacks of each lost connection; we log it once, as an event


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that never shows by accident; `reveal()` is easy to search for."""

    _text: str

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


def configure(style: Literal["text", "json"] = "text", level: int = logging.INFO) -> None:
    """Log to stderr: `key=value` for people, JSON for machines."""
    for name in CLIENTS_OWN:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
