"""From an expression's text to bodies of a function. Pure."""

import re
from typing import Final

STATEMENT: Final = re.compile(
    r"(?:const|let|var|return|if|for|while|do|switch|try|throw|function|class)\b", re.ASCII
)
NOISE: Final = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`""", re.DOTALL
)
COMMENTS_FIRST: Final = re.compile(r"(?:\s+|//[^\n]*(?:\n|$)|/\*.*?\*/)+", re.DOTALL)
NAMED_RESULT: Final = re.compile(
    r"""(?<![\w$.])results\s*(?:\??\.\s*([A-Za-z_$][\w$]*)|(?:\?\.)?\[\s*(?:"([^"\\\n]+)"|'([^'\\\n]+)')\s*\])""",
    re.ASCII,
)
NAMED_LOOKUP: Final = re.compile(
    r"""(?<![\w$.])(variable|resource|flow_user_state)\s*\(\s*(?:"([^"\\\n]+)"|'([^'\\\n]+)')\s*\)""",
    re.ASCII,
)


def bodies(text: str, *, as_boolean: bool) -> list[str]:
    """What to try, in this order, until one of them is JavaScript: bodies of an async function."""
    text = text.strip()
    value = text.rstrip("; \t\r\n")
    if as_boolean:
        return [f"return Boolean(\n{value}\n)"]
    return [f"return (\n{value}\n)", text if is_statement(text) else f"return {_without_comments(text)}"]


def is_statement(text: str) -> bool:
    """It returns by itself: it begins with a statement's keyword, or has a `;` that no quotes enclose."""
    return bool(STATEMENT.match(_without_comments(text))) or ";" in NOISE.sub("", text)


def named_lookups(text: str) -> set[tuple[str, str]]:
    """The lookups that stand in the text with literal names: (what, name). Some may not be needed."""
    results = {("result", match[match.lastindex or 1]) for match in NAMED_RESULT.finditer(text)}
    return results | {(match[1], match[match.lastindex or 2]) for match in NAMED_LOOKUP.finditer(text)}


def _without_comments(text: str) -> str:
    first = COMMENTS_FIRST.match(text)
    return text[first.end() :] if first else text
