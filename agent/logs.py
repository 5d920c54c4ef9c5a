"""Our own log (not the jobs' text): events with fields, and a type for secrets."""

import logging
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass
from io import TextIOBase
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, cast

if TYPE_CHECKING:
    from structlog.typing import Processor

CLIENTS_OWN: Final = ("aiormq", "aio_pika")  # tracebacks of each lost connection; we log it once, as an event

VALUE_MAX: Final = 2000  # characters of one value in a line
SHOWN: Final = "***"
HIDDEN_CHARS: Final = 8


_hidden: set[str] = set()  # what nothing that this process says may show


def hide(text: str) -> None:
    """From now on it does not show in our log, nor in a traceback. Short texts are in every log by chance."""
    if len(text) >= HIDDEN_CHARS:
        _hidden.add(text)


def without_secrets(text: str) -> str:
    for secret in _hidden:
        text = text.replace(secret, SHOWN)
    return text


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that never shows by accident; `reveal()` is easy to search for."""

    _text: str

    def __post_init__(self) -> None:
        hide(self._text)

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return SHOWN

    __str__ = __repr__


class Discreet(TextIOBase):
    """Our stderr: what the log, a traceback or the interpreter itself writes there has no secret in it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(without_secrets(text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


def cut(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What others wrote may be in a line, and must not fill the disk with it."""
    for name, value in line.items():
        if isinstance(value, str) and len(value) > VALUE_MAX:
            line[name] = f"{value[:VALUE_MAX]}… ({len(value)} characters)"
    return line


def configure(style: Literal["text", "json"] = "text", level: int = logging.INFO) -> None:
    """Log to stderr: `key=value` for people, JSON for machines. No known secret gets there from now on."""
    import structlog  # noqa: PLC0415 who takes only `Secret` from here need not load it

    stderr = sys.stderr = cast("TextIO", Discreet(sys.stderr))
    for name in CLIENTS_OWN:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=stderr.isatty())
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
        logger_factory=structlog.WriteLoggerFactory(file=stderr),
    )
