"""Known secrets are taken out of a job's log as it comes, also where two pieces of it meet."""

import json
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

SHOWN: Final = "***"
LEAST_CHARS: Final = 4  # a shorter text is in every log by chance
LINE_CHARS: Final = 8  # of a secret with several lines, such a line is one by itself


class Redaction:
    """Feed it text; what may be the beginning of a secret is kept back until the next piece tells.

    Stretches of text that overlap are shown as one. It holds less than the longest secret.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: tuple[str, ...] = ()
        self._forms: list[str] = []
        self.know(secrets)
        self._kept = ""
        self._covered = 0  # characters of what is kept that belong to a secret already shown as stars

    def know(self, secrets: Iterable[str]) -> None:
        """These, and no others, from the next piece on: what is kept back is looked at anew."""
        named = tuple(secrets)
        if named != self._secrets:
            self._secrets = named
            self._forms = sorted({form for secret in named for form in forms_of(secret)})

    def feed(self, text: str) -> str:
        """What may be shown by now."""
        if not self._forms:
            return text
        text = self._kept + text
        return self._shown(text, self._first_open(text))

    def finish(self) -> str:
        """What is left, when no more text comes."""
        return self._shown(self._kept, len(self._kept))

    def _shown(self, text: str, end: int) -> str:
        """The text up to `end`; keeps the rest."""
        shown: list[str] = []
        at = self._covered
        for begin, stop in self._secrets_in(text):
            if begin >= end:
                break
            if begin >= at:
                shown += (text[at:begin], SHOWN)
            at = max(at, stop)
        shown.append(text[at:end])
        self._kept, self._covered = text[end:], max(0, at - end)
        return "".join(shown)

    def _secrets_in(self, text: str) -> list[tuple[int, int]]:
        return sorted(stretch for form in self._forms for stretch in _each(form, text))

    def _first_open(self, text: str) -> int:
        """Where the first stretch begins that the next piece may turn into a secret."""
        return min((_open_end(form, text) for form in self._forms), default=len(text))


def forms_of(secret: str) -> Iterator[str]:
    """How it may stand in a log: as it is, in JSON, in an address, line by line."""
    lines = [line.strip() for line in secret.splitlines()] if "\n" in secret else []
    for text in (secret.strip(), *(line for line in lines if len(line) >= LINE_CHARS)):
        if len(text) >= LEAST_CHARS:
            yield from (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
            yield from (quote(text), quote(text, safe=""))


def _each(form: str, text: str) -> Iterator[tuple[int, int]]:
    """Every place of it, also those that overlap."""
    at = text.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = text.find(form, at + 1)


def _open_end(form: str, text: str) -> int:
    """Where the text's longest end begins that begins `form`, without being all of it."""
    at = text.find(form[0], max(0, len(text) - len(form) + 1))
    while at >= 0 and not form.startswith(text[at:]):
        at = text.find(form[0], at + 1)
    return len(text) if at < 0 else at
