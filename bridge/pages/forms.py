"""What a form of a page sends."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request

from bridge.errors import BadRequest
from bridge.web.bodies import body_of

FORM: Final = "application/x-www-form-urlencoded"
FIELDS_MAX: Final = 1000


class Form:
    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        self._fields = fields

    def text(self, name: str) -> str:
        """The field's text without space around it; empty when it was not sent."""
        return self._fields.get(name, [""])[0].strip()

    def secret(self, name: str) -> str:
        """As it was typed."""
        return self._fields.get(name, [""])[0]

    def all(self, name: str) -> list[str]:
        """Of a field that may be sent several times, what is not empty."""
        return [text.strip() for text in self._fields.get(name, []) if text.strip()]

    def whole(self, name: str, least: int, most: int) -> int:
        """Raises `BadRequest`, which names the field."""
        text = self.text(name)
        if not text.isdecimal() or not least <= int(text) <= most:
            raise BadRequest(f"{name} must be a whole number from {least} to {most}, not {text!r}")
        return int(text)


async def form_of(request: Request) -> Form:
    """Raises `BadRequest`."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != FORM:
        raise BadRequest(f"the page's forms send {FORM}")
    try:
        text = (await body_of(request)).decode()
        return Form(parse_qs(text, keep_blank_values=True, max_num_fields=FIELDS_MAX))
    except ValueError as error:
        raise BadRequest(f"the form cannot be read: {error}") from None


def own_path(text: str, default: str) -> str:
    """`text` when it is a path of this site: an address with a host in it would lead people elsewhere."""
    parts = urlsplit(text)
    is_ours = text.startswith("/") and not text.startswith("//") and not parts.scheme and not parts.netloc
    return text if is_ours and "\\" not in text and text.isprintable() else default
