"""One worker, and what an operator does with it: asked about first, and written into the audit log."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.clock import Clock
from agent.wire.claims import TokenId
from bridge.audit.service import Audit
from bridge.devices.successors import Successors
from bridge.errors import BadRequest
from bridge.fleet.model import Agent
from bridge.fleet.service import Fleets
from bridge.pages.forms import Form, form_of
from bridge.pages.site import Site
from bridge.pages.strips import strip
from bridge.pages.wording import many
from bridge.tokens.blacklist import BY_ID, BlacklistedToken
from bridge.tokens.model import Identity, NewAgentToken
from bridge.tokens.service import Tokens

DAY_S: Final = 86_400
DAYS_MOST: Final = 3650
TITLE_MAX: Final = 80

Carry = Callable[[Agent, Form, Identity], Awaitable[str]]  # what is done then, in a sentence


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    label: str
    value: str
    type: str = "text"
    required: bool = True


@dataclass(frozen=True, slots=True)
class Deed:
    """`ask`: the lines that say what will happen."""

    name: str
    question: str
    ask: Callable[[Agent], list[str]]
    carry: Carry
    is_grave: bool = False
    fields: tuple[Field, ...] = ()


class AgentDeeds:
    def __init__(
        self, site: Site, fleets: Fleets, tokens: Tokens, successors: Successors, audit: Audit, clock: Clock
    ) -> None:
        self._site = site
        self._fleets = fleets
        self._tokens = tokens
        self._successors = successors
        self._audit = audit
        self._clock = clock

    def routes(self) -> list[Route]:
        deeds = (
            Deed("drain", "Drain {}?", _asks_drain, self._drain),
            Deed("resume", "Let {} take jobs again?", _asks_resume, self._resume),
            Deed("rotate", "Give {} a new token?", _asks_rotate, self._rotate, fields=(VALID,)),
            Deed("blacklist", "Blacklist the token of {}?", _asks_blacklist, self._blacklist, is_grave=True),
        )
        asked = [self._page_of(deed) for deed in deeds]
        return [
            *asked,
            self._site.page("/workers/agent/{worker}", self._agent),
            self._site.page("/workers/group/{group}", self._rename, "GET", "POST"),
        ]

    def _page_of(self, deed: Deed) -> Route:
        async def asked(request: Request, who: Identity) -> Response:
            agent = (await self._fleets.now()).of(request.path_params["worker"])
            if request.method == "POST":
                said = await deed.carry(agent, await form_of(request), who)
                return self._site.over(request, "_done.html", who, {"done": agent.name, "lines": [said]})
            values = {
                "path": request.url.path,
                "question": deed.question.format(agent.name),
                "lines": deed.ask(agent),
                "deed": deed.name.capitalize(),
                "is_grave": deed.is_grave,
                "fields": deed.fields,
            }
            return self._site.over(request, "_confirm.html", who, values)

        return self._site.page(f"/workers/agent/{{worker}}/{deed.name}", asked, "GET", "POST")

    async def _agent(self, request: Request, who: Identity) -> Response:
        fleet = await self._fleets.now()
        agent = fleet.of(request.path_params["worker"])
        values = {
            "agent": agent,
            "now_s": fleet.now_s,
            "strip": strip(agent, fleet.history),
            "scripts": await self._fleets.own_scripts(agent.worker),
        }
        return self._site.over(request, "_agent.html", who, values)

    async def _drain(self, agent: Agent, _: Form, who: Identity) -> str:
        await self._audit.note(who.username, "agent_workers.drain", agent.worker)
        await self._fleets.drain(agent.worker, who.username)
        return "It takes nothing new as soon as it hears of it, and finishes what it holds."

    async def _resume(self, agent: Agent, _: Form, who: Identity) -> str:
        await self._audit.note(who.username, "agent_workers.resume", agent.worker)
        await self._fleets.drain(agent.worker, None)
        return "It takes jobs again as soon as it hears of it."

    async def _blacklist(self, agent: Agent, _: Form, who: Identity) -> str:
        """What its jobs become is carried out as for a token that the API blacklists."""
        self._require_token(agent)
        await self._audit.note(
            who.username, "agent_workers.blacklist.add", agent.token_id, worker=agent.worker
        )
        await self._tokens.blacklist.add(BlacklistedToken(token=BY_ID + agent.token_id), who.username)
        return "Its token is refused from now on; its connections are closed within seconds."

    async def _rotate(self, agent: Agent, form: Form, who: Identity) -> str:
        self._require_token(agent)
        exp = int(self._clock.wall_s()) + form.whole("days", 1, DAYS_MOST) * DAY_S
        users = await self._tokens.seen.users_of(TokenId(agent.token_id))
        asked = NewAgentToken(worker_group=agent.group, tags=list(agent.tags), exp=exp, shared=len(users) > 1)
        token = self._tokens.mint_agent_token(asked)
        await self._audit.note(
            who.username, "agent_workers.token.rotate", agent.token_id,
            worker=agent.worker, tags=asked.tags, exp=exp,
        )  # fmt: skip
        await self._successors.name(BY_ID + agent.token_id, token)
        return "It is told over its link to take the new token; the old one ends once it has."

    async def _rename(self, request: Request, who: Identity) -> Response:
        group = request.path_params["group"]
        title = (await self._fleets.now()).titles.get(group, "")
        if request.method == "GET":
            values = {
                "path": request.url.path,
                "question": f"Rename {title or group}",
                "lines": [
                    f"Its tokens and its workers' names stay as they are ({group}); pages show this name.",
                    "Leave it empty to show the name in the tokens again.",
                ],
                "deed": "Rename",
                "is_grave": False,
                "fields": [Field("title", "Name", title, required=False)],
            }
            return self._site.over(request, "_confirm.html", who, values)
        title = (await form_of(request)).text("title")
        if len(title) > TITLE_MAX or not title.isprintable():
            raise BadRequest(f"a group's name has at most {TITLE_MAX} characters that can be printed")
        await self._audit.note(who.username, "agent_workers.group.rename", group, title=title)
        await self._fleets.name_group(group, title)
        said = f"It is shown as {title} now." if title else "It is shown by the name in its tokens now."
        return self._site.over(request, "_done.html", who, {"done": group, "lines": [said]})

    def _require_token(self, agent: Agent) -> None:
        if not agent.token_id:
            raise BadRequest(f"{agent.worker} never enrolled, so its token is not known; use the API")


VALID: Final = Field("days", "Days that the new token is valid", "365", "number")


def _asks_drain(agent: Agent) -> list[str]:
    held = many(agent.held or 0, "job")
    return [
        f"It finishes what it holds ({held}) and takes nothing new, over restarts too, until it is resumed.",
        "Other agents with its tags go on; jobs of tags that only it serves wait.",
    ]


def _asks_resume(agent: Agent) -> list[str]:
    return [f"{agent.drained_by or 'Somebody'} asked it to take nothing new. It will take jobs again."]


def _asks_rotate(_: Agent) -> list[str]:
    return [
        "It gets another token for the same tags, over its link and without a visit.",
        "What it holds stays with it. Until it has taken the new token, the old one holds.",
    ]


def _asks_blacklist(agent: Agent) -> list[str]:
    held = many(agent.held or 0, "job")
    return [
        f"It is cut off within seconds, and what it holds ({held}) is taken from it.",
        "Jobs that are at_least_once run elsewhere; those that are at_most_once end as CustodianLost.",
        "Results that it still brings are kept for a decision. To come back it needs a new token.",
    ]
