"""Large results come in parts, each kept by itself, so that a link that is cut costs one part."""

import hashlib
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from agent.wire.claims import Claims
from agent.wire.envelope import BLOB_PART_BYTES
from bridge.errors import BadRequest, NotFound
from bridge.jobs import transitions
from bridge.store.statements import queries
from bridge.store.store import Connection, Store

SQL: Final = queries(Path(__file__).with_name("parts.sql"))
PARTS_MAX: Final = 512  # of `BLOB_PART_BYTES`: as large as a result may be


class Part(Struct):
    """Query of result_part: which part of the JSON document with this SHA-256 the body is."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    index: Annotated[int, Meta(ge=0, lt=PARTS_MAX)]


class Parts:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, workspace: str, job_id: str, place: Part, part: bytes, caller: Claims) -> None:
        """Durable on return. Of a job that is over nothing is kept. Raises `BadRequest`, `NotFound`."""
        if len(part) > BLOB_PART_BYTES:
            raise BadRequest(f"a part has at most {BLOB_PART_BYTES} bytes, not {len(part)}")
        values = {"job_id": job_id, "sha256": place.sha256, "index": place.index, "part": part}

        def write(connection: Connection) -> None:
            row = transitions.standing(connection, job_id, workspace)
            if row is None or not transitions.may_speak(row, caller):
                raise NotFound(f"job {job_id} not found in workspace {workspace}")
            if row["status"] is None:
                connection.execute(SQL["drop_other_documents"], values)
                connection.execute(SQL["keep_part"], values)

        await self._store.write(write)

    async def assembled(self, job_id: str, sha256: str) -> bytes:
        """The whole document. Raises `BadRequest` while parts are missing."""
        values = {"job_id": job_id, "sha256": sha256}
        rows = await self._store.read(lambda connection: connection.execute(SQL["parts"], values).fetchall())
        document = b"".join(row["part"] for row in rows)
        if hashlib.sha256(document).hexdigest() != sha256:
            raise BadRequest("parts of the result are missing here; send it whole")
        return document
