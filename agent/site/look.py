"""The agent's status on a terminal: coloured where rich is installed, plain where it is not, and live."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent import status
from agent.errors import AgentError

if TYPE_CHECKING:
    from rich.console import RenderableType

EVERY_S: Final = 1.0
HOME: Final = "\x1b[H\x1b[J"  # to the top, and nothing below
Seen = dict[str, Any]
Pause = Callable[[float], None]


def show(spool: Path, *, as_json: bool) -> None:
    """Once. Raises `SpoolUnusable`."""
    seen = status.read(spool)
    if as_json:
        print(json.dumps(seen))
    elif sys.stdout.isatty() and _has_rich():
        from rich.console import Console  # noqa: PLC0415 only where it is

        Console().print(coloured(seen))
    else:
        print(status.render(seen))


def watch(spool: Path, *, as_json: bool, pause: Pause = time.sleep) -> None:
    """Until Ctrl-C. A spool that cannot be read now is looked at again."""
    with _screen(as_json=as_json) as draw:
        while True:
            try:
                draw(status.read(spool))
            except AgentError as error:
                draw({"error": str(error)})
            pause(EVERY_S)


@contextmanager
def _screen(*, as_json: bool) -> Iterator[Callable[[Seen], None]]:
    """What draws one look over the one before; one after another where there is no terminal."""
    if as_json:
        yield lambda seen: print(json.dumps(seen), flush=True)
    elif not sys.stdout.isatty():
        yield lambda seen: print(_text(seen), flush=True)
    elif _has_rich():
        from rich.live import Live  # noqa: PLC0415 only where it is

        with Live(auto_refresh=False) as live:
            yield lambda seen: live.update(coloured(seen), refresh=True)
    else:
        yield lambda seen: print(f"{HOME}{_text(seen)}", flush=True)


def _text(seen: Seen) -> str:
    return str(seen["error"]) if "error" in seen else status.render(seen)


def coloured(seen: Seen) -> "RenderableType":
    """The words of `status.render`, in a frame; a colour repeats what a word says."""
    from rich.panel import Panel  # noqa: PLC0415 only where it is
    from rich.table import Table  # noqa: PLC0415 see above
    from rich.text import Text  # noqa: PLC0415 see above

    if "error" in seen:
        return Panel(Text(seen["error"]), title="agent", border_style="red", expand=False)
    grid = Table.grid(padding=(0, 2))
    for line in status.lines(seen):
        grid.add_row(Text(line.name, style="dim"), Text(line.said, style=STYLES[line.tone]))
    tones = {line.tone for line in status.lines(seen)}
    border = next((STYLES[one] for one in ("bad", "warn") if one in tones), "green")
    return Panel(grid, title="agent", border_style=border, expand=False)


STYLES: Final = {"good": "green", "plain": "", "warn": "yellow", "bad": "red"}


def _has_rich() -> bool:
    from importlib.util import find_spec  # noqa: PLC0415 asked on a terminal only

    return find_spec("rich") is not None
