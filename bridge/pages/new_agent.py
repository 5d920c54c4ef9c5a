"""+ New agent worker: a token, shown once, the lines that use it, and whether it has come."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.clock import Clock
from agent.wire.claims import Tag
from agent.wire.messages import Delivery
from agent.wire.tokens import token_id
from bridge.audit.service import Audit
from bridge.errors import BadRequest
from bridge.fleet.model import Agent
from bridge.fleet.service import Fleets
from bridge.jobs.tag_rules import CustomTag, TagRules, parsed
from bridge.pages.forms import Form, form_of
from bridge.pages.live import Fragments, Live
from bridge.pages.site import Site
from bridge.pages.wording import age
from bridge.relay.policy import SHORTEST_S, Policies
from bridge.tokens.model import Identity, NewAgentToken
from bridge.tokens.reserved import warning_of
from bridge.tokens.service import Tokens

DAY_S: Final = 86_400
DAYS_MOST: Final = 3650
TOKENS_MOST: Final = 200
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
CHOICES_MOST: Final = 30
SERVED_MOST: Final = 300
NAMES: Final = "devices"


@dataclass(frozen=True, slots=True)
class Choice:
    """A tag to choose."""

    tag: str
    note: str  # whose it is, or what becomes of it; empty: nothing to say


@dataclass(frozen=True, slots=True)
class Made:
    """A token, and the name under which a page waits for its agent."""

    token: str
    id: str


class NewAgentPages:
    def __init__(
        self,
        site: Site,
        live: Live,
        fleets: Fleets,
        tokens: Tokens,
        audit: Audit,
        clock: Clock,
        tags: TagRules,
        policies: Policies,
        base_url: str,
    ) -> None:
        """`base_url`: where sites reach the bridge."""
        self._site = site
        self._live = live
        self._fleets = fleets
        self._tokens = tokens
        self._audit = audit
        self._clock = clock
        self._tags = tags
        self._policies = policies
        self._base_url = base_url

    def routes(self) -> list[Route]:
        return [
            self._site.page("/workers/new", self._new, "GET", "POST"),
            self._site.page("/workers/new/live", self._stream),
        ]

    async def _new(self, request: Request, who: Identity) -> Response:
        if request.method == "GET":
            return await self._form(request, who)
        form = await form_of(request)
        try:
            asked, count = self._asked(form)
            made = [self._tokens.mint_agent_token(asked) for _ in range(count)]
        except BadRequest as error:
            return await self._form(request, who, str(error), form)
        warning = warning_of(asked.tags)
        more = {"warning": warning} if warning else {}
        for token in made:
            await self._audit.note(
                who.username, "agent_workers.token.create", token_id(token), worker_group=asked.worker_group,
                tags=asked.tags, exp=asked.exp, shared=asked.shared, **more,
            )  # fmt: skip
        tokens = [Made(token, token_id(token)) for token in made]
        known = quote(",".join(one.id for one in tokens))
        values = {
            "asked": asked,
            "made": tokens,
            "warning": warning,
            "base_url": _seen_from_sites(self._base_url, str(request.base_url).rstrip("/")),
            "live": f"/workers/new/live?tokens={known}",
            "waits": [None] * len(tokens),
            "policy": self._policy_of(form, asked.tags),
        }
        return self._site.over(request, "_made.html", who, values)

    async def _form(
        self, request: Request, who: Identity, wrong: str = "", form: Form | None = None
    ) -> Response:
        fleet = await self._fleets.now()
        values = {
            "wrong": wrong,
            "groups": sorted({agent.group for agent in fleet.agents}),
            "choices": _choices(fleet.agents, self._tags),
            "served": _served(fleet.agents)[:SERVED_MOST],
            "group": form.text("group") if form else "",
            "chosen": form.all("tag") if form else [],
            "further": form.text("further") if form else "",
            "days": form.text("days") if form else "365",
            "lost_after": age(self._policies.lost_after_s),
            "tokens_most": TOKENS_MOST,
        }
        return self._site.over(request, "_new.html", who, values, 400 if wrong else 200)

    def _asked(self, form: Form) -> tuple[NewAgentToken, int]:
        """What is to be minted, and how often. Raises `BadRequest`."""
        further = form.text("further").replace(",", " ").split()
        tags = list(dict.fromkeys([*form.all("tag"), *further]))
        is_shared = form.text(NAMES) == "any"
        count = form.whole("count", 1, TOKENS_MOST) if form.text(NAMES) == "many" else 1
        exp = int(self._clock.wall_s()) + form.whole("days", 1, DAYS_MOST) * DAY_S
        return NewAgentToken(worker_group=form.text("group"), tags=tags, exp=exp, shared=is_shared), count

    def _policy_of(self, form: Form, tags: Sequence[str]) -> str:
        """A line for the bridge's settings, where other defaults are wished for than it has."""
        wished: dict[str, object] = {}
        if form.text("delivery") in list(Delivery):
            wished["delivery"] = form.text("delivery")
        if form.text("lost_after_h"):
            wished["lost_after_s"] = max(SHORTEST_S, form.whole("lost_after_h", 1, DAYS_MOST * 24) * 3600)
        changed = {tag: wished for tag in tags if wished and not self._is_so(Tag(tag), wished)}
        return f"TAG_POLICIES='{msgspec.json.encode(changed).decode()}'" if changed else ""

    def _is_so(self, tag: Tag, wished: dict[str, object]) -> bool:
        has = {
            "delivery": self._policies.delivery(tag, Delivery.AT_LEAST_ONCE),
            "lost_after_s": self._policies.lost_after(tag),
        }
        return all(has[name] == value for name, value in wished.items())

    async def _stream(self, request: Request, _: Identity) -> Response:
        ids = request.query_params.get("tokens", "").split(",")[:TOKENS_MOST]

        async def look() -> Fragments:
            fleet = await self._fleets.now()
            users = {agent.token_id: agent for agent in fleet.agents if agent.token_id in ids}
            return {
                f"wait-{one}": self._site.text("_waits.html", {"agent": users.get(one)}) for one in ids if one
            }

        return self._live.stream(request, f"new {','.join(ids)}", look)


def _seen_from_sites(base_url: str, here: str) -> str:
    """A bridge without a `BASE_URL` knows itself by the loopback address; this browser knows better."""
    return here if urlsplit(base_url).hostname in LOOPBACK else base_url


def _choices(agents: Sequence[Agent], rules: TagRules) -> list[Choice]:
    """The operator's own tags, each language's, and those that agents serve already."""
    listed = {one.tag: Choice(one.tag, _note(one)) for one in map(parsed, rules.listed())}
    served = {tag: Choice(tag, "") for tag in _served(agents) if tag in _shared(agents)}
    usual = {tag: Choice(tag, "jobs of this language without a tag") for tag in ("bash", "python3")}
    return [one for _, one in sorted((usual | served | listed).items())]


def _served(agents: Sequence[Agent]) -> list[str]:
    return sorted({tag for agent in agents for tag in agent.tags})


def _shared(agents: Sequence[Agent]) -> set[str]:
    """The tags of several agents: one that a single site has is no choice for the next."""
    counts = Counter(tag for agent in agents for tag in agent.tags)
    return {tag for tag, agents_of_it in counts.most_common(CHOICES_MOST) if agents_of_it > 1}


def _note(one: CustomTag) -> str:
    notes = []
    if one.workspaces:
        names = ", ".join(sorted(one.workspaces))
        notes.append(f"not for {names}" if one.all_but else f"only for {names}")
    if "$" in one.tag:
        notes.append("made from the job: name what it becomes")
    return "; ".join(notes)
