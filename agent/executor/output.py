"""A job's merged output: text for the sink up to the limit, and its end kept for messages."""

import codecs
from collections.abc import Callable, Iterable
from typing import Final

from agent.executor.redaction import Redaction
from agent.executor.task import Sink

TAIL_CHARS: Final = 600


class Output:
    """Feed it bytes as they come; NULs, broken UTF-8 and known secrets never reach the sink."""

    def __init__(
        self,
        sink: Sink,
        *,
        most_bytes: int,
        last_line_chars: int,
        hidden: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """`last_line_chars`: how long a last line may be to be kept whole; 0 keeps none.

        `hidden`: the secrets that are known by now; asked with each piece, for a token may be replaced while
        a job runs. The last line has them as the job wrote them, for it is a result.
        """
        self._sink = sink
        self._hidden = hidden
        self._redaction = Redaction()
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._room = most_bytes
        self._dropped = 0
        self.total_bytes = 0  # of all that was fed
        self._line_is_open = False
        self._last = _LastLine(last_line_chars)
        self.tail = ""  # of all output, also of what the limit dropped

    @property
    def last_line(self) -> str | None:
        """The last line as `tail -n 1` sees it. None: it was too long to keep."""
        return self._last.text()

    def feed(self, chunk: bytes, *, end: bool = False) -> None:
        self.total_bytes += len(chunk)
        text = self._decode(chunk, end).replace("\0", "")
        if not text:
            return
        self._last.feed(text)
        self._redaction.know(self._hidden())
        self._show(self._redaction.feed(text))

    def finish(self) -> None:
        """Show what an unfinished character left, and mark the gap if there is one (I5)."""
        self.feed(b"", end=True)
        self._show(self._redaction.finish())
        if self._dropped:
            begin = "\n" if self._line_is_open else ""
            self._sink(f"{begin}[... {self._dropped} bytes dropped: log limit ...]\n")
            self._dropped = 0

    def _show(self, text: str) -> None:
        self.tail = (self.tail + text)[-TAIL_CHARS:]
        size = len(text) if text.isascii() else len(text.encode())
        if size > self._room:
            shown = text.encode()[: self._room].decode(errors="ignore")
            self._dropped += size - len(shown.encode())
            text, size = shown, self._room  # once full it stays full, so that there is one gap
        self._room -= size
        if text:
            self._line_is_open = not text.endswith("\n")
            self._sink(text)


class _LastLine:
    def __init__(self, most_chars: int) -> None:
        self._most = most_chars
        self._complete: str | None = ""
        self._open: list[str] = []
        self._open_chars = 0

    def feed(self, text: str) -> None:
        if not self._most:
            return
        before, newline, rest = text.rpartition("\n")
        if newline:
            earlier, inner_newline, last = before.rpartition("\n")
            if not inner_newline:
                self._add(earlier + last)
                last_line = self._joined()
            else:
                last_line = last
            self._complete, self._open, self._open_chars = last_line, [], 0
        self._add(rest)

    def text(self) -> str | None:
        return self._joined() if self._open_chars else self._complete

    def _add(self, piece: str) -> None:
        self._open_chars += len(piece)
        if self._open_chars > self._most:
            self._open.clear()
        elif piece:
            self._open.append(piece)

    def _joined(self) -> str | None:
        return None if self._open_chars > self._most else "".join(self._open)
