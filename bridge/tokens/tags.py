"""What a tag may be: it must fit, percent-encoded, into a name on the broker."""

from typing import Final

from agent.wire.claims import Tag
from agent.wire.routing import word
from bridge.errors import BadRequest

TAG_MAX_BYTES: Final = 200  # with a workspace and a dot it stays under AMQP's 255


def checked_tag(text: str) -> Tag:
    """`text` as a tag. Raises `BadRequest`."""
    if not text:
        raise BadRequest("a tag is empty; give it a name, or check the argument it is made from")
    if len(word(text)) > TAG_MAX_BYTES:
        raise BadRequest(
            f"the tag {text[:40]!r}… has {len(word(text))} bytes percent-encoded and {TAG_MAX_BYTES} "
            "are allowed; shorten it"
        )
    return Tag(text)
