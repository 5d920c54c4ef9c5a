"""`noqa`, `type: ignore` and `pragma: no cover` name what they silence, and why."""

import io
import re
import tokenize
from typing import Final

from tests.meta.tree import SOURCES, Source

SILENCES: Final = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma:\s*no)")
WITH_REASON: Final = re.compile(
    r"#\s*(?:noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|type:\s*ignore\[[\w, -]+\]|pragma:\s*no (?:cover|branch))"
    r"\W+\w+\W+\w+"
)
LEFT_OPEN: Final = re.compile(r"\b(TODO|FIXME|XXX)\b")


def comments(source: Source) -> list[tuple[int, str]]:
    tokens = tokenize.generate_tokens(io.StringIO(source.text).readline)
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]


def test_what_is_silenced_is_named_with_a_reason() -> None:
    bare = [
        f"{source.path}:{line} {comment}"
        for source in SOURCES
        for line, comment in comments(source)
        if SILENCES.search(comment) and not WITH_REASON.search(comment)
    ]
    assert bare == []


def test_nothing_is_left_open_in_a_comment() -> None:
    left = [
        f"{source.path}:{line}"
        for source in SOURCES
        for line, comment in comments(source)
        if LEFT_OPEN.search(comment)
    ]
    assert left == []
