"""Our own log (not the jobs' text): events with fields, and a type for secrets."""

import logging
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import structlog

CLIENTS_OWN: Final = ("aiormq", "aio_pika")  # tracebacks of each lost connection; we log it once, as an event

VALUE_MAX: Final = 2000  # characters of one value in a line


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that never shows by accident; `reveal()` is easy to search for."""

    _text: str

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


def cut(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What others wrote may be in a line, and must not fill the disk with it."""
    for name, value in line.items():
        if isinstance(value, str) and len(value) > VALUE_MAX:
            line[name] = f"{value[:VALUE_MAX]}… ({len(value)} characters)"
    return line


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
            cut,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
