"""People's words to a flow that waits for them: by a signed link, or as its owner (openflow.md 2.4)."""

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote
from uuid import UUID

from msgspec import Meta, Struct

from agent.clock import Clock
from bridge.errors import BadRequest, NotAuthorized, NotFound
from bridge.flows import status
from bridge.jobs import parents
from bridge.jobs.lanes import FLOW_KINDS
from bridge.store.bulletin import Bulletin, Tell
from bridge.store.rows import found
from bridge.store.setting import set_once
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store
from bridge.tokens.service import random_text

SQL: Final = queries(Path(__file__).with_name("resumes.sql"))
PAYLOAD_MAX_BYTES: Final = 1024 * 1024
APPROVER_MAX_CHARS: Final = 255
UNSIGNED_FIRST: Final = 2**31  # words that have no link of their own; links have the numbers below, as a rule
Number = Annotated[int, Meta(ge=0, lt=2**32)]


class Links(Struct, rename={"approval_page": "approvalPage"}):
    approval_page: str
    resume: str
    cancel: str


class Word(Struct, kw_only=True):
    """What somebody says. `payload`: JSON text, checked."""

    resume_id: Number
    approved: bool
    payload: bytes = b"null"
    approver: str | None = None


class Resumes:
    def __init__(self, store: Store, bulletin: Bulletin, clock: Clock) -> None:
        self._store = store
        self._bulletin = bulletin
        self._clock = clock
        self._keys: dict[str, bytes] = {}  # by workspace; they never change

    async def links(
        self,
        workspace: str,
        job_id: str,
        resume_id: int,
        approver: str | None,
        base_url: str,
        *,
        flow_level: bool = False,
    ) -> Links:
        """For the step's job, which may not have ended yet. `flow_level`: for the flow, any of its waits.

        Raises `NotFound`.
        """
        row = await self._store.read(lambda connection: _job(connection, workspace, job_id))
        of = row["parent_job"] if flow_level and row["flow_step_id"] is not None else job_id
        signature = await self.signature(workspace, of, resume_id, approver)
        query = "" if approver is None else f"?approver={quote(approver, safe='')}"
        rest = f"{of}/{resume_id}/{signature}{query}"
        api = f"{base_url}/api/w/{workspace}/jobs_u"
        return Links(f"{base_url}/approve/{workspace}/{rest}", f"{api}/resume/{rest}", f"{api}/cancel/{rest}")

    async def signature(self, workspace: str, job_id: str, resume_id: int, approver: str | None) -> str:
        """Lower-case hexadecimal."""
        if workspace not in self._keys:
            text = await set_once(self._store, f"resume_key/{workspace}", random_text())
            self._keys[workspace] = text.encode()
        told = UUID(job_id).bytes + resume_id.to_bytes(4, "big") + (approver or "").encode()
        return hmac.new(self._keys[workspace], told, hashlib.sha256).hexdigest()

    async def answer(self, workspace: str, job_id: str, word: Word, signature: str) -> None:
        """By a link. Raises `NotAuthorized`, `BadRequest` when the link was used before, and `NotFound`."""
        try:
            UUID(job_id)
        except ValueError:
            raise NotFound(f"job {job_id[:60]!r} not found") from None
        expected = await self.signature(workspace, job_id, word.resume_id, word.approver)
        if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
            raise NotAuthorized("the link's signature does not fit; ask for a new link")
        await self._keep(workspace, job_id, word)

    async def resume_flow(self, workspace: str, flow_id: str, payload: bytes, by: str) -> None:
        """As the flow's owner: one approval of what it waits for now, without a link.

        Raises `BadRequest` when it waits for nobody, and `NotFound`.
        """
        await self.resume_suspended(workspace, flow_id, payload, by, approved=True)

    async def resume_suspended(
        self, workspace: str, flow_id: str, payload: bytes, by: str | None, *, approved: bool
    ) -> None:
        """As `resume_flow`; or a refusal."""

        def write(connection: Connection, tell: Tell) -> None:
            job_id = _waits_after(connection, workspace, flow_id)
            taken = [row["resume_id"] for row in connection.execute(SQL["numbers"], {"job_id": job_id})]
            number = _free(taken)
            word = Word(resume_id=number, approved=approved, payload=payload, approver=by)
            _add(connection, workspace, job_id, _checked(word), self._clock.wall_s(), tell)

        await self._bulletin.write(write)

    async def _keep(self, workspace: str, job_id: str, word: Word) -> None:
        word = _checked(word)
        now_s = self._clock.wall_s()
        await self._bulletin.write(
            lambda connection, tell: _add(connection, workspace, job_id, word, now_s, tell)
        )


def _checked(word: Word) -> Word:
    if len(word.payload) > PAYLOAD_MAX_BYTES:
        raise BadRequest(f"a payload has at most {PAYLOAD_MAX_BYTES} bytes, not {len(word.payload)}")
    if word.approver is not None and len(word.approver) > APPROVER_MAX_CHARS:
        raise BadRequest(f"an approver's name has at most {APPROVER_MAX_CHARS} characters")
    return word


def _job(connection: Connection, workspace: str, job_id: str) -> Row:
    key = {"id": job_id, "workspace_id": workspace}
    return found(connection, SQL["job"], key, f"job {job_id} not found in workspace {workspace}")


def _add(connection: Connection, workspace: str, job_id: str, word: Word, now_s: float, tell: Tell) -> None:
    """The word is kept, and whoever may wait for it is told. Raises `BadRequest` and `NotFound`."""
    row = _job(connection, workspace, job_id)
    is_step = row["flow_step_id"] is not None
    is_flow = row["kind"] in FLOW_KINDS
    if not is_step and not is_flow:
        raise BadRequest(f"job {job_id} is neither a flow nor a step of one; nothing waits for a word on it")
    if not (is_step and row["parent_open"] is not None) and not (is_flow and row["queued"] is not None):
        raise BadRequest(f"the flow of job {job_id} is over; nobody waits for a word any more")
    key = str(UUID(int=UUID(job_id).int ^ word.resume_id))
    if connection.execute(SQL["used"], {"id": key}).fetchone() is not None:
        raise BadRequest("this link was used already; each counts once")
    values = {
        "id": key,
        "job_id": job_id,
        "resume_id": word.resume_id,
        "payload": word.payload.decode(),
        "approver": word.approver,
        "approved": word.approved,
        "now": now_s,
    }
    connection.execute(SQL["add"], values)
    if is_step:
        parents.note(connection, row["parent_job"], parents.RESUMED, tell)
    if is_flow:
        parents.note(connection, job_id, parents.RESUMED, tell)


def _waits_after(connection: Connection, workspace: str, flow_id: str) -> str:
    """The job of the step after which the flow waits. Raises `BadRequest` and `NotFound`."""
    key = {"id": flow_id, "workspace_id": workspace}
    row = found(connection, SQL["waits"], key, f"no flow {flow_id} runs in workspace {workspace}")
    for module in status.decoded(row["status"]).modules:
        if module.type == "WaitingForEvents" and module.job is not None:
            return module.job
    raise BadRequest(f"flow {flow_id} waits for nobody's word now")


def _free(taken: Sequence[int]) -> int:
    number = UNSIGNED_FIRST
    while number in taken:
        number += 1
    return number
