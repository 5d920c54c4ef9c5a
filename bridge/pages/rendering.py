"""Templates become answers, and what a page loads is served: all of it from memory, made small once."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from bridge.errors import NotFound
from bridge.pages import wording

HERE: Final = Path(__file__).parent
SMALL_BYTES: Final = 1024  # below this to compress gains nothing
FOR_EVER: Final = "public, max-age=31536000, immutable"  # its address changes with its content
KINDS: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class _File:
    url: str
    kind: str
    plain: bytes
    small: bytes


class Rendering:
    """Every template escapes what it is given, and fails on what it was not given."""

    def __init__(self) -> None:
        self._files: Final = _read_files(HERE / "static")
        self._by_url: Final = {file.url: file for file in self._files.values()}
        self._templates: Final = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["static"] = lambda name: self._files[name].url
        self._templates.filters.update(wording.FILTERS)

    def text(self, template: str, values: Mapping[str, object]) -> str:
        """A whole page, or a fragment of one."""
        return self._templates.get_template(template).render(values)

    def answer(
        self, request: Request, template: str, values: Mapping[str, object], status: int = 200
    ) -> Response:
        text = self.text(template, values).encode()
        headers = {"vary": "accept-encoding"}
        if len(text) > SMALL_BYTES and _takes_gzip(request):
            text = gzip.compress(text, 6)
            headers["content-encoding"] = "gzip"
        return HTMLResponse(text, status, headers)

    def routes(self) -> list[Route]:
        return [Route("/static/{print}/{name:path}", self._static, methods=["GET"])]

    async def _static(self, request: Request) -> Response:
        file = self._by_url.get(request.url.path)
        if file is None:
            raise NotFound("there is no such file; load the page again")
        headers = {"cache-control": FOR_EVER, "vary": "accept-encoding"}
        if not _takes_gzip(request):
            return Response(file.plain, headers=headers, media_type=file.kind)
        return Response(file.small, headers=headers | {"content-encoding": "gzip"}, media_type=file.kind)


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


def _read_files(folder: Path) -> dict[str, _File]:
    """By the names that templates use."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix not in KINDS:
            continue
        name, plain = path.relative_to(folder).as_posix(), path.read_bytes()
        print_of_it = hashlib.sha256(plain).hexdigest()[:10]
        url = f"/static/{print_of_it}/{name}"
        files[name] = _File(url, KINDS[path.suffix], plain, gzip.compress(plain, 9, mtime=0))
    return files
