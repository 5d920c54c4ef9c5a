"""Answers what the machine asks. Expressions may take seconds, so no transaction is open meanwhile."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Protocol

import msgspec

from bridge.errors import ExpressionFailed, NotFound
from bridge.flows import resolving
from bridge.flows.expressions.model import LookupFailed, Lookups
from bridge.flows.expressions.paths import is_true, pick
from bridge.flows.expressions.shortcuts import ResultOf, short_cut
from bridge.flows.refs import Ref
from bridge.flows.scope import Answer, Evaluate, Failed, Found, Question, Received, Resume, Resumes, Scope
from bridge.flows.user_states import UserStates
from bridge.resources.interpolation import Interpolation, may_name
from bridge.store.statements import queries
from bridge.store.store import Connection, Store
from bridge.variables.service import Variables
from bridge.variables.vault import Unreadable

SQL: Final = queries(Path(__file__).with_name("turns.sql"))
ENVIRONMENT: Final = "flow_env"  # its values may name variables and resources


class Expressions(Protocol):
    async def evaluate(
        self,
        text: str,
        names: Mapping[str, bytes],
        lookups: Lookups,
        *,
        previous_id: str | None = None,
        as_boolean: bool = False,
    ) -> bytes:
        """JSON text. Raises `ExpressionFailed`."""
        ...


class Asking:
    def __init__(
        self, store: Store, expressions: Expressions, variables: Variables, interpolation: Interpolation
    ) -> None:
        self._store = store
        self._expressions = expressions
        self._variables = variables
        self._interpolation = interpolation
        self._states = UserStates(store)

    def at_once(self, connection: Connection, questions: Iterable[Question]) -> dict[Question, Answer]:
        """The answers that need nothing but rows of the store: people's words, and simple paths."""
        found = {
            one: _words(connection, one) if isinstance(one, Resumes) else _short(connection, one)
            for one in questions
        }
        return {question: answer for question, answer in found.items() if answer is not None}

    async def answers(self, workspace: str, questions: Iterable[Evaluate]) -> dict[Question, Answer]:
        return {one: await self._answer(workspace, one) for one in questions}

    async def _answer(self, workspace: str, asked: Evaluate) -> Answer:
        scope = asked.scope

        names = await self._store.read(lambda connection: _names(connection, scope))
        try:
            if may_name(names.get(ENVIRONMENT, b"")):
                names[ENVIRONMENT] = await self._named(workspace, names[ENVIRONMENT])
            looked_up = _LookUps(self, workspace, scope)
            found = await self._expressions.evaluate(
                asked.text, names, looked_up, previous_id=scope.previous_id, as_boolean=asked.as_boolean
            )
        except (ExpressionFailed, LookupFailed) as error:
            return Failed(str(error))
        return Found(found)

    async def _named(self, workspace: str, text: bytes) -> bytes:
        try:
            return (await self._interpolation.resolved(workspace, text, {})).text
        except (NotFound, Unreadable) as error:
            raise LookupFailed(str(error)) from error

    async def variable(self, workspace: str, path: str) -> bytes:
        """Raises `LookupFailed`."""
        try:
            text, _ = await self._variables.value_and_kind(workspace, path)
        except (NotFound, Unreadable) as error:
            raise LookupFailed(str(error)) from error
        return msgspec.json.encode(text)

    async def resource(self, workspace: str, path: str) -> bytes:
        """Raises `LookupFailed`."""
        try:
            return await self._interpolation.resource(workspace, path)
        except (NotFound, Unreadable) as error:
            raise LookupFailed(str(error)) from error

    async def user_state(self, flow_id: str, key: str) -> bytes:
        return await self._states.of(flow_id, key)

    async def result(self, own: Mapping[str, Ref], parent: str | None, step_id: str) -> bytes:
        """Of this level, or of a level above."""
        return await self._store.read(lambda connection: _result(connection, own, parent, step_id))


class _LookUps:
    """What one expression may look up."""

    def __init__(self, asking: Asking, workspace: str, scope: Scope) -> None:
        self._asking = asking
        self._workspace = workspace
        self._scope = scope
        self._own = dict(scope.results)

    async def variable(self, path: str) -> bytes:
        return await self._asking.variable(self._workspace, path)

    async def resource(self, path: str) -> bytes:
        return await self._asking.resource(self._workspace, path)

    async def flow_user_state(self, key: str) -> bytes:
        return await self._asking.user_state(self._scope.flow_id, key)

    async def result_by_id(self, step_id: str, path: tuple[str | int, ...]) -> bytes:
        return pick(await self._asking.result(self._own, self._scope.parent, step_id), path)


def _names(connection: Connection, scope: Scope) -> dict[str, bytes]:
    return {name: resolving.text_of(connection, ref).encode() for name, ref in scope.names}


def _result(connection: Connection, own: Mapping[str, Ref], parent: str | None, step_id: str) -> bytes:
    if step_id in own:
        return resolving.text_of(connection, own[step_id]).encode()
    return resolving.result_above(connection, parent, step_id).encode()


def _short(connection: Connection, asked: Evaluate) -> Found | None:
    """None: only the engine can tell."""
    scope = asked.scope
    names = _names(connection, scope)
    if may_name(names.get(ENVIRONMENT, b"")):
        return None
    short = short_cut(asked.text, names, scope.previous_id)
    if short is None:
        return None
    if isinstance(short, ResultOf):
        value = pick(_result(connection, dict(scope.results), scope.parent, short.step_id), short.path)
    else:
        value = short.json
    if asked.as_boolean:
        value = b"true" if is_true(value) else b"false"
    return Found(value)


def _words(connection: Connection, asked: Resumes) -> Received:
    rows = connection.execute(SQL["words"], {"job_id": asked.job_id, "flow_id": asked.flow_id})
    return Received(
        tuple(
            Resume(
                resume_id=row["resume_id"],
                approved=bool(row["approved"]),
                approver=row["approver"],
                payload=row["payload"].encode(),
            )
            for row in rows
        )
    )
