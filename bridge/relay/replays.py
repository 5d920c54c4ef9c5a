"""An operator has a dead letter tried once more: by the ledger's rules, never by publishing it again."""

import structlog

from agent.wire.envelope import unpack
from agent.wire.errors import WireError
from agent.wire.messages import Result
from bridge.errors import BadRequest
from bridge.relay.assembling import Assembly
from bridge.relay.ledger import Ledger
from bridge.relay.letters import DeadLetters, Letter, LetterKind
from bridge.relay.lost import Lost
from bridge.relay.quarantine import Quarantine
from bridge.relay.recorder import Recorder

log = structlog.get_logger()


class Replays:
    def __init__(
        self, letters: DeadLetters, ledger: Ledger, lost: Lost, recorder: Recorder, quarantine: Quarantine
    ) -> None:
        self._letters = letters
        self._ledger = ledger
        self._lost = lost
        self._recorder = recorder
        self._quarantine = quarantine
        self._assembly = Assembly(ledger)

    async def replay(self, letter_id: int) -> str:
        """What became of it; the letter is gone.

        Raises `NotFound`, `ClusterDown`; `BadRequest` says why nothing was done.
        """
        letter = await self._letters.one(letter_id)
        if letter.kind in (LetterKind.JOB, LetterKind.RETURNED) and letter.job_id:
            told = await self._dispatch_again(letter)
        elif letter.kind is LetterKind.RESULT:
            told = await self._offer(letter)
        else:
            raise BadRequest(_nothing(letter))
        await self._letters.discard(letter_id)
        log.info("letter.replayed", id=letter_id, job_id=letter.job_id, outcome=told)
        return told

    async def _dispatch_again(self, letter: Letter) -> str:
        """As a new attempt, where nobody has accepted the last one (I1, I2)."""
        custody = await self._ledger.find((letter.job_id, letter.attempt))
        if custody is None or not custody.is_open:
            raise BadRequest(
                f"job {letter.job_id} has ended, and its recorded result stays; run it again as a new job"
            )
        if custody.custodian is not None:
            raise BadRequest(
                f"job {letter.job_id} is held by {custody.custodian}, as attempt {custody.attempt}"
            )
        if not await self._lost.dispatch_again(custody, "an operator had a dead letter replayed"):
            raise BadRequest(f"job {letter.job_id} was accepted, or ended, in this moment; look again")
        return f"job {letter.job_id} goes out again, as attempt {custody.attempt + 1}"

    async def _offer(self, letter: Letter) -> str:
        """A result, as if it came now: its agent must have a word to say about the job (I4)."""
        result = _result_in(letter)
        key = (result.job_id, result.attempt)
        custody = await self._ledger.find(key)
        if custody is None:
            raise BadRequest(
                f"job {result.job_id} is still not in the ledger, so nobody waits for this result"
            )
        if custody.custodian != letter.worker and not await self._ledger.concerns(key, letter.worker):
            raise BadRequest(f"{letter.worker} never had job {result.job_id}, nor its tag")
        if await self._ledger.is_distrusted(key, letter.worker):
            await self._quarantine.keep(letter.worker, result, self._assembly)
            return f"the token of {letter.worker} was revoked: the result is in quarantine now"
        document = await self._document_of(result)
        if await self._recorder.record(result, document) is None:
            await self._ledger.late(key)
            raise BadRequest(
                f"job {result.job_id} has ended, and keeps its recorded result; this one is late"
            )
        return f"recorded as the result of job {result.job_id}"

    async def _document_of(self, result: Result) -> bytes:
        """Its parts are here, or will not come any more."""
        if not result.blob_sha256:
            return result.document
        document = await self._ledger.assemble(result.job_id, result.blob_sha256)
        if document is None:
            raise BadRequest("the parts of this result are gone; its agent sends them again while it has it")
        return document


def _result_in(letter: Letter) -> Result:
    """The bridge packed it, alone. Raises `BadRequest`."""
    try:
        messages = unpack(letter.body)
    except WireError as error:
        raise BadRequest(f"this letter was not kept whole: {error}") from None
    if len(messages) != 1 or not isinstance(messages[0], Result):
        raise BadRequest("there is no result in this letter")
    return messages[0]


def _nothing(letter: Letter) -> str:
    said = {
        LetterKind.MESSAGE: "what cannot be read or proved is not believed the second time either; its agent "
        "sends again whatever got no receipt",
        LetterKind.UNRUN: "this job has ended, and its recorded result stays; run it again as a new job",
        LetterKind.POISON: "this job has ended, and its recorded result stays; run it again as a new job",
    }
    return said.get(letter.kind, "this letter names no job")
