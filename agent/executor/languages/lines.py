"""The result of a program that writes lines (agent-api.md 7.3): a file of it, else its last line."""

import json

from agent.executor import results
from agent.executor.directory import JobDirectory
from agent.executor.errors import JobFailed
from agent.executor.languages.language import Exit, Verdict, failure


def last_line_verdict(directory: JobDirectory, exit_: Exit, most_bytes: int, run: str) -> Verdict:
    """A non-empty result.json, then result.out, then the last line. Raises `JobFailed`.

    `run`: what failed, as its error puts it.
    """
    if exit_.code != 0:
        return Verdict(False, error_of(directory, exit_, most_bytes, run))
    if found := results.document(directory.path / "result.json", most_bytes):
        return Verdict(True, found)
    if text := results.content(directory.path / "result.out", most_bytes):
        return Verdict(True, _quoted(text.decode("utf-8", "replace"), most_bytes))
    last_line = exit_.output.last_line
    if last_line is None:
        raise results.too_large(most_bytes)
    return Verdict(True, _quoted(last_line.strip(), most_bytes))


def error_of(directory: JobDirectory, exit_: Exit, most_bytes: int, run: str) -> bytes:
    """Of an exit code other than 0: what it left in result.json, else its last lines."""
    try:
        found = results.document(directory.path / "result.json", most_bytes)
    except JobFailed as failed:
        if failed.name == "ResultTooLarge":
            raise
        found = b""  # half written, or no JSON at all: the log tells more
    return found or failure(run, exit_)


def _quoted(text: str, most_bytes: int) -> bytes:
    document = json.dumps(text, ensure_ascii=False).encode()
    if len(document) > most_bytes:
        raise results.too_large(most_bytes)
    return document
