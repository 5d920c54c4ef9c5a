"""What the steps of a flow leave for each other by a name of their own."""

from pathlib import Path
from typing import Final

from bridge.errors import BadRequest
from bridge.store.rows import found
from bridge.store.statements import queries
from bridge.store.store import Connection, Store

SQL: Final = queries(Path(__file__).with_name("user_states.sql"))
KEYS_MAX: Final = 1000  # of one flow (I6)
VALUE_MAX_BYTES: Final = 1024 * 1024
NULL: Final = b"null"


class UserStates:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, workspace: str, flow_id: str, key: str) -> bytes:
        """JSON text; `null` when there is none. Raises `NotFound` for what is no flow."""

        def read(connection: Connection) -> bytes:
            _flow(connection, workspace, flow_id)
            return _value(connection, flow_id, key)

        return await self._store.read(read)

    async def of(self, flow_id: str, key: str) -> bytes:
        """As `get`, of a flow that is known."""
        return await self._store.read(lambda connection: _value(connection, flow_id, key))

    async def set(self, workspace: str, flow_id: str, key: str, value: bytes) -> None:
        """`value`: JSON text, checked. Raises `NotFound` and `BadRequest`."""
        if len(value) > VALUE_MAX_BYTES:
            raise BadRequest(f"a state has at most {VALUE_MAX_BYTES} bytes, not {len(value)}")

        def write(connection: Connection) -> None:
            _flow(connection, workspace, flow_id)
            (count,) = connection.execute(SQL["count"], {"flow_id": flow_id}).fetchone()
            if count >= KEYS_MAX:
                raise BadRequest(f"a flow has at most {KEYS_MAX} states")
            connection.execute(SQL["set"], {"flow_id": flow_id, "key": key, "value": value.decode()})

        await self._store.write(write)


def _flow(connection: Connection, workspace: str, flow_id: str) -> None:
    key = {"workspace_id": workspace, "flow_id": flow_id}
    found(connection, SQL["flow"], key, f"flow {flow_id} not found in workspace {workspace}")


def _value(connection: Connection, flow_id: str, key: str) -> bytes:
    row = connection.execute(SQL["of"], {"flow_id": flow_id, "key": key}).fetchone()
    return NULL if row is None else str(row["value"]).encode()
