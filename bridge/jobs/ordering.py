"""A request becomes an order: who asks, for what, with which options."""

from starlette.requests import Request

from bridge.jobs.model import Code, Order, PreviewAsSent, RunOptions, Source
from bridge.tokens.model import Identity
from bridge.web.bodies import typed_query


def code_of(asked: PreviewAsSent) -> Code:
    return Code(
        content=asked.content,
        language=asked.language,
        lock=asked.lock,
        path=asked.path or None,
        tag=asked.tag,
    )


def order_of(request: Request, identity: Identity, source: Source, args: bytes) -> Order:
    """Raises `BadRequest`."""
    return Order(
        workspace=request.path_params["workspace"],
        source=source,
        args=args,
        options=typed_query(request, RunOptions),
        created_by=identity.username,
        permissioned_as=f"u/{identity.username}",
        email=identity.email,
    )
