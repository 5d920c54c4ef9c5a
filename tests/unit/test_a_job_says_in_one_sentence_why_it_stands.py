"""One plain sentence for each place where a job may stand, from the facts alone."""

from dataclasses import replace

import pytest

from bridge.runs.model import Attempt, Facts, Job, Link, Server, Standing, Supply, Way, Where
from bridge.runs.why import Mood, why

NOW = 20 * 86_400.0 + 12 * 3600.0  # noon
NINE = NOW - 3 * 3600 + 12 * 60  # 09:12
JOB = Job(job_id="j", workspace="main", tag="pos-suva", where=Where.READY, created_at=NOW - 9_000)
OUT = replace(JOB, where=Where.RUNNING, worker="ag-bridge-local", handed_out_at=NOW - 8_000)
UP = Way(ready_max=100, is_up=True)


def server(
    name: str = "ag-pos-suva",
    standing: Standing = Standing.UP,
    *,
    link: Link = Link.BROKER,
    slots: int | None = 4,
    held: int | None = 0,
    languages: frozenset[str] | None = None,
) -> Server:
    since = NOW if standing is Standing.UP else NINE
    about = {"slots": slots, "held": held, "languages": languages}
    return Server(name=name, link=link, standing=standing, since=since, **about)


AWAY = server(standing=Standing.DOWN)
TAKEN = Attempt(number=1, state="taken", taken_at=NOW - 8_000)
PUBLISHED = replace(TAKEN, state="published", published_at=NOW - 8_000)
ACCEPTED = replace(PUBLISHED, state="accepted", custodian="ag-pos-suva", accepted_at=NOW - 7_000)
STARTED = replace(ACCEPTED, started_at=NINE)


def facts(job: Job = JOB, *attempts: Attempt, **more: object) -> Facts:
    return Facts(now_s=NOW, job=job, attempts=attempts, **{"way": UP, **more})


BUN = replace(JOB, language="bun")
BASH_ONLY = server("ag-pos-bash", languages=frozenset({"bash"}))
HELD_BACK = replace(TAKEN, waits_for="bun")

SENTENCES = {
    "no agent of its tag runs its language": (
        facts(BUN, servers=[BASH_ONLY]),
        Mood.STUCK,
        "waiting for tag pos-suva: no agent of it runs bun; let a site run bun, or cancel the job",
    ),
    "the agent that ran its language does not any more": (
        facts(replace(OUT, language="bun"), HELD_BACK, servers=[BASH_ONLY]),
        Mood.STUCK,
        "waiting for tag pos-suva: no agent of it runs bun; let a site run bun, or cancel the job",
    ),
    "the one agent that runs its language is full": (
        facts(
            replace(OUT, language="bun"),
            HELD_BACK,
            servers=[BASH_ONLY, server(held=9, languages=frozenset({"bun"}))],
        ),
        Mood.WAITS,
        (
            "waiting for an agent of tag pos-suva that runs bun: its only agent, ag-pos-suva, is up and "
            "holds 9 jobs with 4 slots"
        ),
    ),
    "the one agent that runs its language is away": (
        facts(replace(OUT, language="bun"), PUBLISHED, servers=[BASH_ONLY, AWAY]),
        Mood.WAITS,
        (
            "waiting for tag pos-suva: its only agent, ag-pos-suva, is offline since 09:12 UTC; the "
            "agent holds nothing; it will be dispatched when it returns"
        ),
    ),
    "its only agent is away": (
        facts(OUT, PUBLISHED, servers=[AWAY]),
        Mood.WAITS,
        (
            "waiting for tag pos-suva: its only agent, ag-pos-suva, is offline since 09:12 UTC; the "
            "agent holds nothing; it will be dispatched when it returns"
        ),
    ),
    "the agent that is away holds others": (
        facts(OUT, PUBLISHED, servers=[server(standing=Standing.DOWN, held=3)]),
        Mood.WAITS,
        (
            "waiting for tag pos-suva: its only agent, ag-pos-suva, is offline since 09:12 UTC; the "
            "agent holds 3 other jobs; it will be dispatched when it returns"
        ),
    ),
    "it says nothing of what it holds": (
        facts(OUT, PUBLISHED, servers=[server(standing=Standing.LEFT, held=None)]),
        Mood.WAITS,
        (
            "waiting for tag pos-suva: its only agent, ag-pos-suva, is stopped since 09:12 UTC; it will"
            " be dispatched when it returns"
        ),
    ),
    "all of its agents are away": (
        facts(OUT, PUBLISHED, servers=[AWAY, server("ag-pos-2", Standing.LEFT)]),
        Mood.WAITS,
        (
            "waiting for tag pos-suva: none of its 2 agents is there, the last was ag-pos-suva at 09:12"
            " UTC; it will be dispatched when one returns"
        ),
    ),
    "its only agent drains": (
        facts(OUT, PUBLISHED, servers=[server(standing=Standing.DRAINING)]),
        Mood.WAITS,
        (
            "waiting for tag pos-suva: its only agent, ag-pos-suva, drains and takes nothing new until "
            "it is resumed; it will be dispatched when it returns"
        ),
    ),
    "some drain and others are away": (
        facts(OUT, PUBLISHED, servers=[AWAY, server("ag-pos-2", Standing.DRAINING)]),
        Mood.WAITS,
        (
            "waiting for tag pos-suva: none of its 2 agents takes it: 1 draining, the others away; it "
            "will be dispatched when one returns"
        ),
    ),
    "no agent has the tag": (
        facts(replace(JOB, not_after=NOW + 60)),
        Mood.STUCK,
        (
            "waiting for tag pos-suva: no agent has it; add one on the Workers page, or cancel the job;"
            " if nobody takes it before 12:01 UTC, it ends as Expired"
        ),
    ),
    "no agent has the tag any more": (
        facts(OUT, PUBLISHED),
        Mood.STUCK,
        "waiting for tag pos-suva: no agent has it; add one on the Workers page, or cancel the job",
    ),
    "its only agent is full": (
        facts(OUT, PUBLISHED, servers=[server(held=9), server("ag-2", Standing.DOWN)]),
        Mood.WAITS,
        (
            "waiting for tag pos-suva: its only agent that is up, ag-pos-suva, is full (holds 9 jobs "
            "with 4 slots)"
        ),
    ),
    "all agents are full": (
        facts(OUT, PUBLISHED, servers=[server(held=9), server("ag-2", held=4)]),
        Mood.WAITS,
        "waiting for tag pos-suva: all 2 agents that are up are full: they hold 13 jobs in 8 slots",
    ),
    "on its way to one": (
        facts(OUT, PUBLISHED, servers=[server(), AWAY]),
        Mood.MOVES,
        "in the broker, on its way to ag-pos-suva",
    ),
    "on its way to one of many": (
        facts(OUT, PUBLISHED, servers=[server(), server("ag-2", slots=None, held=None)]),
        Mood.MOVES,
        "in the broker, on its way to one of its 2 agents that are up",
    ),
    "paused by ready_max": (
        facts(servers=[AWAY], way=replace(UP, waiting=100)),
        Mood.WAITS,
        (
            "paused by ready_max: the broker has 100 jobs of tag pos-suva already, and 100 are the "
            "most; its only agent, ag-pos-suva, is offline since 09:12 UTC; the agent holds nothing"
        ),
    ),
    "paused while an agent is up": (
        facts(servers=[server(held=1, slots=1)], way=Way(ready_max=1, is_up=True, waiting=1)),
        Mood.WAITS,
        (
            "paused by ready_max: the broker has 1 job of tag pos-suva already, and 1 are the most; its"
            " only agent, ag-pos-suva, is up and holds 1 job with 1 slot"
        ),
    ),
    "paused while some are up": (
        facts(servers=[server(), AWAY], way=replace(UP, waiting=100)),
        Mood.WAITS,
        (
            "paused by ready_max: the broker has 100 jobs of tag pos-suva already, and 100 are the "
            "most; of its 2 agents 1 is up"
        ),
    ),
    "the broker's alarm": (
        facts(OUT, TAKEN, servers=[server()], way=replace(UP, blocked="low on memory")),
        Mood.STUCK,
        "blocked by RabbitMQ's alarm (low on memory): it takes nothing until that is over",
    ),
    "no session with the broker": (
        facts(servers=[server()], way=replace(UP, is_up=False)),
        Mood.WAITS,
        "the bridge has no session with RabbitMQ now; it goes on by itself when there is one",
    ),
    "no broker at all": (
        facts(OUT, TAKEN, way=Way()),
        Mood.STUCK,
        "an agent of tag pos-suva is linked over RabbitMQ; set AMQP_URL of the bridge",
    ),
    "its key is full": (
        facts(replace(JOB, waits_for="f/shop/till", met_limit=2), in_key=2),
        Mood.WAITS,
        (
            "its concurrency limit is reached: of the key f/shop/till 2 of 2 places are taken; it goes "
            "on when one is free"
        ),
    ),
    "scheduled": (
        facts(replace(JOB, where=Where.LATER, scheduled_for=NOW + 86_400)),
        Mood.WAITS,
        "scheduled for 1970-01-22 12:00 UTC; nothing is to be done before",
    ),
    "others go first": (
        facts(servers=[server(link=Link.HTTP)], ahead=1),
        Mood.WAITS,
        "waiting for tag pos-suva, behind 1 other job of it",
    ),
    "next in line": (
        facts(servers=[server()]),
        Mood.MOVES,
        "next in line for tag pos-suva: whoever asks first gets it",
    ),
    "an agent over HTTP is away": (
        facts(servers=[server(standing=Standing.DOWN, link=Link.HTTP, held=None)], way=Way()),
        Mood.WAITS,
        (
            "waiting for tag pos-suva: its only agent, ag-pos-suva, is offline since 09:12 UTC; it will"
            " be dispatched when it returns"
        ),
    ),
    "the bridge takes it": (
        facts(OUT),
        Mood.MOVES,
        "the bridge is taking it",
    ),
    "the bridge publishes it": (
        facts(OUT, TAKEN, servers=[server()]),
        Mood.MOVES,
        "the bridge has it and publishes it",
    ),
    "at its site": (
        facts(OUT, ACCEPTED, holder=server()),
        Mood.MOVES,
        "at ag-pos-suva, and starts there",
    ),
    "at a site that fetches what it imports": (
        facts(OUT, ACCEPTED, holder=server(), supply=Supply(have=3 * 2**20, size=8 * 2**20, why="")),
        Mood.WAITS,
        "at ag-pos-suva, waits for its dependencies: 3.0 of 8.0 MB",
    ),
    "at a site whose bundle is not made yet": (
        facts(OUT, ACCEPTED, holder=server(), supply=Supply(have=0, size=0, why="the bridge fetches it")),
        Mood.WAITS,
        "at ag-pos-suva, waits for its dependencies (the bridge fetches it)",
    ),
    "at a site without a slot": (
        facts(OUT, ACCEPTED, holder=server(held=5)),
        Mood.WAITS,
        "at ag-pos-suva, holds 5 jobs with 4 slots: it starts when a slot is free",
    ),
    "running": (
        facts(replace(OUT, percent=40), STARTED, holder=server()),
        Mood.MOVES,
        "running at ag-pos-suva since 09:12 UTC, 40 % done",
    ),
    "its result comes": (
        facts(OUT, STARTED, holder=server(), parts=3, parts_of=12),
        Mood.MOVES,
        "its result is on its way from ag-pos-suva: 3 of 12 parts came",
    ),
    "held by an agent that is away": (
        facts(OUT, ACCEPTED, holder=AWAY, lost_after_s=3600.0 * 4),
        Mood.WAITS,
        (
            "held by ag-pos-suva, which is offline since 09:12 UTC; it runs there all the same, and its"
            " result comes when the link is back; if nothing is heard until 13:12 UTC, it is dispatched"
            " again"
        ),
    ),
    "held while the bridge is deaf": (
        facts(OUT, ACCEPTED, holder=AWAY, way=replace(UP, is_up=False)),
        Mood.WAITS,
        "held by ag-pos-suva; the bridge has no session with RabbitMQ now, and hears no agent",
    ),
    "paused while its only agent tells nothing": (
        facts(servers=[server(slots=None, held=None)], way=replace(UP, waiting=100)),
        Mood.WAITS,
        (
            "paused by ready_max: the broker has 100 jobs of tag pos-suva already, and 100 are the "
            "most; its only agent, ag-pos-suva, is up and busy"
        ),
    ),
    "running where nobody is heard of": (
        facts(OUT, STARTED, holder=AWAY, lost_after_s=3600.0, may_replace=False),
        Mood.WAITS,
        (
            "held by ag-pos-suva, which is offline since 09:12 UTC; it began 09:12 UTC and runs on, and"
            " its result comes when the link is back; if nothing is heard until 10:12 UTC, it ends as "
            "CustodianLost and is not run again"
        ),
    ),
    "held by nobody that is known": (
        facts(OUT, ACCEPTED),
        Mood.STUCK,
        (
            "held by ag-pos-suva, which is not known here any more; after its lost_after it is "
            "dispatched again"
        ),
    ),
    "cancelled while it is away": (
        facts(replace(OUT, canceled_by="ana"), STARTED, holder=AWAY),
        Mood.WAITS,
        (
            "ana cancelled it, but ag-pos-suva has it, and is offline since 09:12 UTC; it is told when "
            "it is back. To end the job without it, cancel it now and for good"
        ),
    ),
    "cancelled while it runs": (
        facts(replace(OUT, canceled_by="ana"), STARTED, holder=server()),
        Mood.MOVES,
        "ana cancelled it; ag-pos-suva is told, and stops it",
    ),
    "cancelled before anybody had it": (
        facts(replace(OUT, canceled_by="ana"), TAKEN),
        Mood.WAITS,
        "ana cancelled it; it ends as soon as the bridge has seen it",
    ),
    "running over HTTP": (
        facts(replace(OUT, worker="ag-shop", last_ping_at=NOW), holder=server("ag-shop", link=Link.HTTP)),
        Mood.MOVES,
        "running at ag-shop since 09:46 UTC",
    ),
    "a result in parts over HTTP": (
        facts(replace(OUT, worker="ag-shop"), parts=1),
        Mood.MOVES,
        "its result is on its way from ag-shop: 1 part came",
    ),
    "over HTTP, and it fetches what it imports": (
        facts(
            replace(OUT, worker="ag-pos-suva", last_ping_at=NOW - 5),
            supply=Supply(have=2**20, size=2**21, why=""),
        ),
        Mood.WAITS,
        "at ag-pos-suva, waits for its dependencies: 1.0 of 2.0 MB",
    ),
    "a worker over HTTP that is silent": (
        facts(replace(OUT, worker="ag-shop", last_ping_at=NINE), lost_after_s=600.0),
        Mood.WAITS,
        (
            "held by ag-shop, which is not heard of since 09:12 UTC; after its lost_after it is "
            "dispatched again"
        ),
    ),
    "delivered": (
        facts(replace(OUT, where=Where.OVER, status="success", completed_at=NINE, percent=90)),
        Mood.OVER,
        "delivered at 09:12 UTC: success",
    ),
    "failed midway, with a result in quarantine": (
        facts(replace(OUT, where=Where.OVER, status="failure", completed_at=NINE, percent=90), quarantined=1),
        Mood.OVER,
        ("delivered at 09:12 UTC: failure, at 90 %; 1 result of a revoked agent in quarantine"),
    ),
    "cancelled": (
        facts(
            replace(
                OUT,
                where=Where.OVER,
                status="canceled",
                completed_at=NINE,
                canceled_by="ana",
                canceled_reason="wrong shop",
            )
        ),
        Mood.OVER,
        "cancelled by ana (wrong shop) at 09:12 UTC",
    ),
}


@pytest.mark.parametrize("place", SENTENCES)
def test_it_says(place: str) -> None:
    known, mood, sentence = SENTENCES[place]
    said = why(known)
    assert said.text(NOW) == sentence
    assert said.mood is mood
