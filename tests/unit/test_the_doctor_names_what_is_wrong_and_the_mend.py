"""`python -m agent doctor` against what really goes wrong: its check names each failure, with a mend.

What it says of the machine itself: `test_the_doctor_looks_at_the_machine.py`.
"""

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from agent.__main__ import main
from agent.clock import SystemClock
from agent.enrolling import Enrolling
from agent.link.enrol import to_json
from agent.link.link import Enrolment, LinkKind
from agent.logs import Secret
from agent.site import checks
from agent.site.checks import Verdict
from agent.site.login import clock_check, token_check
from agent.spool.credentials import Credentials
from agent.spool.spool import Spool
from bridge.web.asgi import build
from dev_tools.certificates import ThrowAwayCA
from dev_tools.ports import free_ports
from tests.support.cluster import served
from tests.support.http_cluster import HttpCluster, bridge_cluster, plain_cluster
from tests.support.tunnel import tunnels
from tests.unit.examined import NO_CLAIMS, files, is_failed, settings, told

DAY = timedelta(days=1)
ENROLL = "/api/agent_workers/enroll"


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir(mode=0o700)
    return folder


async def minted(cluster: HttpCluster, lives_s: int = 90 * 86_400) -> str:
    body = {"worker_group": "pos", "tags": ["till"], "exp": int(time.time()) + lives_s}
    answer = await cluster.running.admin.post("/api/agent_workers/create_agent_token", json=body)
    return str(answer.json())


async def enrolled(folder: Path, url: str, token: str) -> None:
    """As an agent would, which then ends."""
    spool = await Spool.open(folder, SystemClock())
    mine = Credentials(folder, Secret(token), is_new=True)
    enrolment = await Enrolling(url, mine).enrol(spool.folder.identity, {"version": "0", "slots": 1})
    await spool.set_meta("enrolment", to_json(enrolment))
    await spool.close()


async def test_a_site_that_is_well_is_told_so_before_and_after_it_has_enrolled(
    spool: Path, tmp_path: Path
) -> None:
    async with bridge_cluster(tmp_path) as cluster:
        url, token = f"http://127.0.0.1:{cluster.link.port}", await minted(cluster)
        found = await told(spool, settings(url, token))
        assert {one.verdict for name, one in found.items() if name not in ("agent", "broker")} == {Verdict.OK}
        assert "no agent of this spool has enrolled" in found["cluster login"].said
        assert "group pos and the tags till" in found["token"].said
        assert files(spool) == []
        await enrolled(spool, url, token)
        before = files(spool)
        found = await told(spool, settings(url, token))
        assert found["cluster login"].said.endswith("takes the token, and this device")
        assert found["broker"].said == "none: the link is over HTTP"
        assert found["clock"].verdict is Verdict.OK
        assert files(spool) == before
        (device,) = (await cluster.running.admin.get("/api/agent_workers/devices")).json()
        assert device["worker"].startswith("ag-pos-")  # the doctor has bound none of its own
        await cluster.running.admin.post(
            "/api/agent_workers/forget_device", json={"device": device["device"]}
        )
        again = (await told(spool, settings(url, token)))["cluster login"]
        assert (again.verdict, "enrols anew" in again.mend) == (Verdict.WARN, True)


async def test_a_token_that_is_refused(spool: Path, tmp_path: Path) -> None:
    async with bridge_cluster(tmp_path) as cluster:
        url, token = f"http://127.0.0.1:{cluster.link.port}", await minted(cluster)
        wrong = token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB")
        found = await told(spool, settings(url, wrong))
        is_failed(found["cluster login"], "the token is refused: 401", "mint a new one")
        assert wrong.split(".")[-1] not in json.dumps(checks.as_json(list(found.values())))
        is_failed((await told(spool, settings(url, NO_CLAIMS)))["token"], "cannot be read", "copy it whole")
        over = await minted(cluster, lives_s=1)
        cluster.running.clock.ahead_s = 5
        is_failed((await told(spool, settings(url, over)))["cluster login"], "401")


def jwt(claims: object) -> Secret:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return Secret(f"jwt_agent_a.{body}.c")


@pytest.mark.parametrize(
    ("claims", "verdict", "said"),
    [
        ({"worker_group": "pos", "tags": ["till"]}, Verdict.OK, "tags till"),
        (
            {"worker_group": "pos", "tags": [], "exp": 1_000_000_000},
            Verdict.FAIL,
            "ended at 2001-09-09 01:46",
        ),
        ({"worker_group": "pos", "tags": [], "exp": time.time() + 3600}, Verdict.WARN, "tags none, until"),
    ],
)
def test_the_end_of_a_token_is_told_without_a_link(claims: object, verdict: Verdict, said: str) -> None:
    check = token_check(jwt(claims))
    assert check.verdict is verdict
    assert said in check.said


async def test_a_plain_cluster_and_one_that_is_no_cluster(spool: Path, tmp_path: Path) -> None:
    async with plain_cluster(tmp_path) as cluster:
        url, token = f"http://127.0.0.1:{cluster.link.port}", await minted(cluster)
        assert (
            "without a bridge takes the token"
            in (await told(spool, settings(url, token)))["cluster login"].said
        )
        is_failed((await told(spool, settings(url)))["cluster login"], "without a bridge", "mint a new one")
    async with served(build([])) as url:
        is_failed((await told(spool, settings(url)))["cluster login"], "is no Orvanta", "BASE_INTERNAL_URL")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (503, "the bridge answers 503 (odd)"),
        (403, "this device is refused: 403 odd; have an admin approve it"),
        (400, "enrolment is refused: 400 odd; is BASE_INTERNAL_URL that of a bridge?"),
        (200, ""),
    ],
)
async def test_what_enrolment_answers_else(spool: Path, status: int, said: str) -> None:
    async def answer(_request: Request) -> Response:
        return PlainTextResponse("odd\n", status)

    async with served(build([Route(ENROLL, answer, methods=["POST"])])) as url:
        check = (await told(spool, settings(url)))["cluster login"]
        assert check.verdict is (Verdict.FAIL if said else Verdict.OK)
        assert said in f"{check.said}; {check.mend}"


async def test_a_wrong_port_and_an_unknown_host(spool: Path) -> None:
    (port,) = free_ports(1)
    found = await told(spool, settings(f"http://127.0.0.1:{port}"))
    is_failed(found["cluster port"], f"nothing listens at 127.0.0.1:{port}", "check the port")
    assert "cluster login" not in found
    found = await told(spool, settings("https://nowhere.invalid"))
    is_failed(found["cluster name"], "nowhere.invalid is not found", "name server")
    assert "cluster port" not in found
    assert found["clock"].verdict is Verdict.WARN


async def empty(_request: Request) -> Response:
    return JSONResponse({})


@asynccontextmanager
async def secured(folder: Path, **dates: timedelta) -> AsyncIterator[tuple[str, str]]:
    """A server over HTTPS that takes any token: its address, and the file of its CA."""
    ca = ThrowAwayCA(folder, "our CA")
    pair = ca.issue("server", ("127.0.0.1",), **dates)
    app = build([Route(ENROLL, empty, methods=["POST"])])
    async with served(app, ssl_certfile=pair.cert, ssl_keyfile=pair.key) as url:
        yield url, str(ca.file)


async def test_a_certificate_that_has_expired_is_soon_to_expire_or_is_a_strangers(
    spool: Path, tmp_path: Path
) -> None:
    async with secured(tmp_path / "old", begins=-9 * DAY, ends=-DAY) as (url, ca):
        found = await told(spool, settings(url, CA_FILE=ca))
        is_failed(found["cluster tls"], "expired on", "renew the certificate")
    async with secured(tmp_path / "near", ends=3 * DAY) as (url, ca):
        found = await told(spool, settings(url, CA_FILE=ca))
        assert found["cluster tls"].verdict is Verdict.WARN
        assert found["cluster login"].verdict is Verdict.OK
        is_failed((await told(spool, settings(url)))["cluster tls"], "not trusted here", "set CA_FILE")
    async with secured(tmp_path / "good") as (url, ca):
        found = await told(spool, settings(url, CA_FILE=ca))
        assert found["cluster tls"].verdict is Verdict.OK
        plain = url.replace("https:", "http:")
        is_failed(
            (await told(spool, settings(plain)))["cluster login"], "speaks TLS", "must begin with https"
        )


async def test_the_way_by_a_proxy(spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with secured(tmp_path / "tls") as (url, ca), tunnels() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:planted-1@127.0.0.1:{proxy.port}")
        found = await told(spool, settings(url, CA_FILE=ca))
        assert f"by 127.0.0.1:{proxy.port}" in found["proxy"].said
        assert found["cluster proxy"].verdict is found["cluster login"].verdict is Verdict.OK
        proxy.refuses = b"403 Forbidden"
        is_failed((await told(spool, settings(url, CA_FILE=ca)))["cluster proxy"], "403", "NO_PROXY")
        monkeypatch.setenv("HTTP_PROXY", "127.0.0.1:1")
        found = await told(spool, settings("http://bridge.example.com"))
        is_failed(found["cluster port"], "nothing listens at 127.0.0.1:1")
        assert "planted-1" not in str(found)


@pytest.mark.parametrize(("offset_s", "said"), [(90.0, "90 s ahead of"), (-90.0, "90 s behind")])
def test_a_wrong_clock(offset_s: float, said: str) -> None:
    assert clock_check(offset_s).verdict is Verdict.WARN
    assert said in clock_check(offset_s).said
    assert clock_check(2.0).verdict is Verdict.OK


async def test_the_clock_is_known_from_the_last_link(spool: Path) -> None:
    opened = await Spool.open(spool, SystemClock())
    clock = SystemClock()
    ahead_s = clock.wall_s() - clock.monotonic_s() - 77
    kept = {"boot": clock.boot_id(), "ahead_s": ahead_s}
    for text, said in (
        (json.dumps(kept), "77 s ahead of"),
        ("{", "not compared"),
        ('{"boot": ""}', "not comp"),
    ):
        await opened.set_meta("bridge_time", text)
        assert said in (await told(spool, settings("http://127.0.0.1:1")))["clock"].said
    await opened.close()


async def test_the_broker_lets_in_or_does_not(spool: Path, amqp_url: str) -> None:
    opened = await Spool.open(spool, SystemClock())
    parts = urlsplit(amqp_url)
    wrong = parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":planted-password@")).geturl()
    for url, verdict in ((amqp_url, Verdict.OK), (wrong, Verdict.FAIL), ("amqp://a:b@127.0.0.1:1/", None)):
        about = Enrolment(
            worker="ag-pos-a", worker_group="pos", tags=(), shared_tags=(), link=LinkKind.AMQP, amqp_url=url
        )
        await opened.set_meta("enrolment", to_json(about))
        found = await told(spool, settings("http://127.0.0.1:1"))
        if verdict is None:
            is_failed(found["broker port"], "nothing listens")
        else:
            assert found["broker login"].verdict is verdict
        assert "planted-password" not in str(found)
    await opened.close()


async def test_a_setting_that_is_missing_keeps_the_rest_from_nothing(spool: Path) -> None:
    found = await told(spool, {})
    is_failed(found["settings"], "AGENT_TOKEN is missing", "AGENT_TOKEN_FILE")
    assert {"disk space", "bash", "agent", "clock"} <= found.keys()


def test_the_command_line(
    spool: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in settings("http://127.0.0.1:1", jwt({"worker_group": "a", "tags": []}).reveal()).items():
        monkeypatch.setenv(name, text)
    assert main(["doctor", "--spool", str(spool)]) == 1
    said = capsys.readouterr().out
    assert "fail  cluster port    nothing listens at 127.0.0.1:1\n                      mend: " in said
    assert said.splitlines()[-1].endswith(" 1 fail")
    assert main(["doctor", "--spool", str(spool), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "fail"
    assert [one["name"] for one in told["checks"] if one["verdict"] == "fail"] == ["cluster port"]


def test_the_worst_counts() -> None:
    fine, odd = checks.ok("a", "b"), checks.warn("a", "b", "c")
    assert [checks.worst(one) for one in ([], [fine], [fine, odd], [checks.failed("a", "x; y"), odd])] == [
        Verdict.OK, Verdict.OK, Verdict.WARN, Verdict.FAIL,
    ]  # fmt: skip
