"""What the operator says of tags: whose they are, and which a job gets that names none (agent-api.md 4)."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.errors import BadRequest

EVERY: Final = "*"
RESTRICTED: Final = re.compile(r"([\w-]+)\(([\w-]+(?:\+[\w-]+)*|(?:\^[\w-]+)+)\)")


@dataclass(frozen=True, slots=True)
class CustomTag:
    """`gpu(lab+ship)`: those workspaces only; `gpu(^lab^ship)`: all but those; `gpu`: all."""

    written: str
    tag: str
    workspaces: frozenset[str] = frozenset()
    all_but: bool = True  # with no workspaces: nobody is left out

    def is_for(self, workspace: str) -> bool:
        return (workspace in self.workspaces) is not self.all_but


def parsed(written: str) -> CustomTag:
    """What does not parse, such as `foo()`, is a plain tag of that name."""
    match = RESTRICTED.fullmatch(written)
    if match is None:
        return CustomTag(written, written)
    tag, text = match[1], match[2]
    names = [name for name in re.split(r"[+^]", text) if name]
    return CustomTag(written, tag, frozenset(names), all_but=text.startswith("^"))


class TagRules:
    """A tag that is not listed is everybody's. `own_defaults`: workspaces with default tags of their own."""

    def __init__(self, written: Sequence[str] = (), own_defaults: Collection[str] = ()) -> None:
        self._own_defaults = frozenset(own_defaults)
        self._tags = [parsed(one.strip()) for one in written if one.strip()]

    @property
    def has_own_defaults(self) -> bool:
        return bool(self._own_defaults)

    def default(self, tag: str, workspace: str) -> str:
        """What a job gets that names no tag: its language's, or the workspace's own of it."""
        own = EVERY in self._own_defaults or workspace in self._own_defaults
        return f"{tag}-{workspace}" if own else tag

    def listed(self) -> list[str]:
        """As they were written."""
        return [one.written for one in self._tags]

    def of(self, workspace: str) -> list[str]:
        """The listed tags that this workspace may use."""
        return [one.tag for one in self._tags if one.is_for(workspace)]

    def require(self, workspace: str, tag: str | None) -> None:
        """Raises `BadRequest` when the tag is for other workspaces."""
        known = [one for one in self._tags if one.tag == tag]
        if known and not any(one.is_for(workspace) for one in known):
            raise BadRequest(
                f"tag {tag} is not for workspace {workspace}; CUSTOM_TAGS of the bridge says whose it is"
            )


EVERYBODYS: Final = TagRules()
