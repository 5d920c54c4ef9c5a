"""What the bridges of one PostgreSQL database tell each other, by LISTEN and NOTIFY."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec
import structlog
from msgspec import Struct

from agent.logs import Secret
from bridge.store.bulletin import Bulletin, Note
from bridge.store.pg_line import TROUBLE, open_line
from bridge.store.pg_session import first_line
from bridge.store.statements import queries
from bridge.store.store import Connection

SQL: Final = queries(Path(__file__).with_name("listener.sql"))
NOTES_MAX: Final = 20  # in one notification, which may have 7,999 bytes; a name has at most 260
AGAIN_S: Final = 1.0

log = structlog.get_logger()


class Told(Struct, array_like=True):
    """One notification."""

    sender: str
    notes: list[tuple[str, str]]


class Listener:
    def __init__(self, url: Secret, bulletin: Bulletin) -> None:
        self._url = url
        self._bulletin = bulletin
        self._own_name = uuid4().hex  # what we told ourselves is no news
        bulletin.reach_others(self._send)

    async def run(self) -> None:
        """For ever. While it cannot listen, everybody looks for himself, as often as it tries."""
        while True:
            try:
                await self._listen()
            except TROUBLE as error:
                log.warning("news.not_heard", reason=first_line(error))
            self._bulletin.missed()
            await asyncio.sleep(AGAIN_S)

    async def _listen(self) -> None:
        line = await open_line(self._url)
        try:
            await line.execute(SQL["listen"].postgresql)
            self._bulletin.missed()
            async for notification in line.notifies():
                self._hear(notification.payload)
        finally:
            await line.close()

    def _hear(self, payload: str) -> None:
        try:
            told = msgspec.json.decode(payload, type=Told)
        except msgspec.MsgspecError as error:  # of another release, or by a hand
            log.warning("news.not_understood", reason=str(error))
            return
        if told.sender != self._own_name:
            self._bulletin.heard([Note(kind, name) for kind, name in told.notes])

    def _send(self, connection: Connection, notes: Sequence[Note]) -> None:
        for first in range(0, len(notes), NOTES_MAX):
            few = [(note.kind, note.name) for note in notes[first : first + NOTES_MAX]]
            payload = msgspec.json.encode(Told(self._own_name, few)).decode()
            connection.execute(SQL["tell"], {"payload": payload})
