"""Which tag a job gets, decided once, at push (agent-api.md 4.1, 4.2)."""

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Raw

from agent.wire.claims import Tag
from bridge.jobs.tag_rules import EVERYBODYS, TagRules
from bridge.tokens.tags import checked_tag

ARGUMENT: Final = re.compile(r"\$args\[(\w+)\]")
OF_LANGUAGE: Final = {"bunnative": "nativets"}


def assign(
    explicit: str | None, language: str, workspace: str, args: Mapping[str, Raw], rules: TagRules = EVERYBODYS
) -> Tag:
    """The explicit tag, interpolated; else the language's. Raises `BadRequest` when it can be no tag.

    Also when it is another workspace's.
    """
    if explicit:
        tag = interpolate(explicit, workspace, args)
        rules.require(workspace, tag)
        return checked_tag(tag)
    return checked_tag(rules.default(OF_LANGUAGE.get(language, language), workspace))


def interpolate(template: str, workspace: str, args: Mapping[str, Raw]) -> str:
    """`$workspace` and `$args[name]` replaced. A missing argument is the empty text, as in the original."""

    def text_of(match: re.Match[str]) -> str:
        value = args.get(match[1])
        return "" if value is None else bytes(value).decode().strip('"')

    return ARGUMENT.sub(text_of, template.replace("$workspace", workspace))
