import asyncio
import io
import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import pytest
import structlog

from agent import logs
from agent.__main__ import main
from agent.clock import SystemClock
from agent.config import read
from agent.credentials import BadCredential, text_of
from agent.errors import ConfigError
from agent.jobs.book import Book
from agent.jobs.model import Event
from agent.link.amqp import connect
from agent.link.enrol import to_json
from agent.link.link import Enrolment, LinkKind
from agent.logs import Secret
from agent.spool.credentials import Credentials
from agent.spool.sealing import Seal
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import pack
from agent.wire.messages import Job, Result
from bridge import config as bridge_config
from bridge.errors import ConfigError as BridgeConfigError

TOKEN = "jwt_agent_eyJplanted.eyJtoken.signature"


@contextmanager
def listening() -> Iterator[io.StringIO]:
    """What is written to stderr once the log is set up."""
    with redirect_stderr(io.StringIO()) as stream:
        logs.configure("json")
        yield stream
    structlog.reset_defaults()


def test_no_event_and_no_traceback_shows_what_has_become_a_secret() -> None:
    with listening() as said:
        secret = logs.Secret("planted-in-the-log")
        assert f"{secret} {secret!r}" == "*** ***"
        structlog.get_logger().warning(
            "link.retry", reason=f"refused {secret.reveal()}", url=["planted-in-the-log"]
        )
        try:
            int(secret.reveal())
        except ValueError:
            traceback.print_exc()
            structlog.get_logger().exception("bug")
        assert "planted-in-the-log" not in said.getvalue()
        assert said.getvalue().count("***") >= 4
        first = json.loads(said.getvalue().splitlines()[0])
        assert first["reason"] == "refused ***"
        with pytest.raises(io.UnsupportedOperation):
            sys.stderr.fileno()
        assert not sys.stderr.isatty()
        sys.stderr.flush()


def test_what_is_short_is_in_every_log_by_chance() -> None:
    with listening() as said:
        logs.hide("guest")
        sys.stderr.write("guest")
        assert said.getvalue() == "guest"


async def test_the_tokens_and_the_brokers_password_are_such_secrets(
    tmp_path: Path,
) -> None:
    with listening() as said:
        read({"AGENT_TOKEN": TOKEN, "BASE_INTERNAL_URL": "http://h"}, tmp_path, None, None)
        sys.stderr.write("Bearer jwt_agent_north-abcde_eyJplanted.eyJtoken.signature\n")
        url = "amqp://agent:p%2Fassword-1@127.0.0.1:9/"
        enrolment = Enrolment(
            worker="w", worker_group="g", tags=(), shared_tags=(), link=LinkKind.AMQP, amqp_url=url
        )
        with pytest.raises(Exception, match="broker unreachable"):
            async with connect(enrolment, Secret("jwt_agent_north-abcde_x")):
                pass
        settings = {
            "AMQP_URL": "amqp://bridge:password-of-2@h/",
            "PUBLIC_AMQP_URL": "amqp://a:password-of-3@h/",
        }
        bridge_config.read(settings, relay_only=False)
        sys.stderr.write("p/assword-1 password-of-2 password-of-3\n")
        assert said.getvalue() == "Bearer jwt_agent_north-abcde_***\n*** *** ***\n"


def secret_file(folder: Path, text: str, name: str = "secret", mode: int = 0o600) -> Path:
    file = folder / name
    file.write_text(text)
    file.chmod(mode)
    return file


def test_a_secret_comes_from_its_setting_its_file_or_systemd(tmp_path: Path) -> None:
    file = secret_file(tmp_path, " from-file\n", "amqp_url")
    assert text_of({"AMQP_URL": " told "}, "AMQP_URL") == "told"
    assert text_of({"AMQP_URL_FILE": str(file)}, "AMQP_URL") == "from-file"
    assert text_of({"CREDENTIALS_DIRECTORY": str(tmp_path)}, "AMQP_URL") == "from-file"
    assert text_of({"CREDENTIALS_DIRECTORY": str(tmp_path)}, "AGENT_TOKEN") is None
    assert text_of({}, "AMQP_URL") is None


def test_a_file_that_cannot_be_a_secret_is_refused_without_its_content(tmp_path: Path) -> None:
    open_file, noise = secret_file(tmp_path, TOKEN, "open", 0o644), tmp_path / "noise"
    noise.write_bytes(b"\xff\xfe")
    noise.chmod(0o600)
    for env, wanted in (
        ({"AGENT_TOKEN": TOKEN, "AGENT_TOKEN_FILE": str(open_file)}, "both set"),
        ({"AGENT_TOKEN_FILE": str(open_file)}, "chmod 600"),
        ({"AGENT_TOKEN_FILE": str(tmp_path / "missing")}, "No such file"),
        ({"AGENT_TOKEN_FILE": str(noise)}, "holds no text"),
    ):
        with pytest.raises(BadCredential, match=wanted) as refused:
            text_of(env, "AGENT_TOKEN")
        assert "planted" not in str(refused.value)
        with pytest.raises(ConfigError, match=wanted):
            read({**env, "BASE_INTERNAL_URL": "http://h"}, tmp_path / "spool", None, None)
        with pytest.raises(BridgeConfigError, match=wanted):
            bridge_config.read(env, relay_only=False)


def test_the_bridge_reads_its_secrets_from_files_too(tmp_path: Path) -> None:
    file = secret_file(tmp_path, "amqp://bridge:in-a-file@h/\n")
    settings = bridge_config.read({"AMQP_URL_FILE": str(file)}, relay_only=False)
    assert settings.amqp_url is not None
    assert settings.amqp_url.reveal() == "amqp://bridge:in-a-file@h/"


def test_the_brokers_password_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    file = secret_file(tmp_path, "in/a@file\n")
    env = {
        "AMQP_PASSWORD_FILE": str(file),
        "AMQP_URL": "amqp://bridge@h:1/",
        "MANAGEMENT_URL": "http://bridge@h:2",
    }
    settings = bridge_config.read(env, relay_only=False)
    assert settings.amqp_url is not None
    assert settings.amqp_url.reveal() == "amqp://bridge:in%2Fa%40file@h:1/"
    assert settings.management_url is not None
    assert settings.management_url.reveal() == "http://bridge:in%2Fa%40file@h:2"
    own = bridge_config.read(env | {"AMQP_URL": "amqp://bridge:own@h/"}, relay_only=False)
    assert own.amqp_url is not None
    assert own.amqp_url.reveal() == "amqp://bridge:own@h/"
    assert "in/a@file" not in str(settings)


KEY = "5ec2e7" * 10 + "abcd"
ENROLMENT = Enrolment(
    worker="ag-pos-a", worker_group="pos", tags=("t",), shared_tags=(), link=LinkKind.AMQP,
    amqp_url="amqp://agent:planted-password@127.0.0.1:1/", ticket="eyJplanted.ticket.x",
)  # fmt: skip


async def spool_of_a_site(folder: Path, seal: Seal) -> str:
    """With a job that waits, one that has a result and a log, one set aside. Returns its device's key."""
    spool = await Spool.open(folder, SystemClock(), seal=seal)
    book = Book(spool, SystemClock())
    for name in ("done", "odd", "next"):
        job = Job(
            job_id=JobId(name), attempt=Attempt(1), workspace="main", tag=Tag("t"), language="bash",
            code="echo planted-code", args=b'{"password": "planted-argument"}', token="planted-job-token",
            env={"A": "planted-environment"},
        )  # fmt: skip
        await book.hold(job, pack([job]))
    await book.apply((JobId("done"), Attempt(1)), Event.STARTED)
    await spool.add_log((JobId("done"), Attempt(1)), 0, "planted-log")
    result = Result(
        job_id=JobId("done"), attempt=Attempt(1), workspace="main", success=True,
        document=b'"planted-result"', finished_at=1.0,
    )  # fmt: skip
    await book.finish((JobId("done"), Attempt(1)), Event.EXITED, result)
    await spool.quarantine((JobId("odd"), Attempt(1)), "odd")
    await spool.set_meta("enrolment", to_json(ENROLMENT))
    await spool.set_meta("link", "down\n1.0\nrefused amqp://agent:planted-password@h/ Bearer planted.bearer")
    await spool.close()
    mine = Credentials(folder, Secret(TOKEN), spool.seal, is_new=True)
    mine.succeed("jwt_agent_eyJplanted.eyJsuccessor.signature")
    return mine.device.raw.hex()


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_support_bundle_has_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, is_sealed: bool
) -> None:
    seal = Seal(bytes.fromhex(KEY)) if is_sealed else Seal()
    device_key = asyncio.run(spool_of_a_site(tmp_path / "spool", seal))
    settings = {"AGENT_TOKEN": TOKEN, "BASE_INTERNAL_URL": "http://user:planted-login@127.0.0.1:1"}
    settings |= {"HTTPS_PROXY": "http://user:planted-proxy@127.0.0.1:1", "PLANTED": "planted-variable"}
    if is_sealed:
        settings |= {"SPOOL_KEY_FILE": str(secret_file(tmp_path, KEY))}
    for name, text in settings.items():
        monkeypatch.setenv(name, text)
    log = tmp_path / "log"
    lines = [
        '{"event": "odd", "password": "planted-in-json", "url": "amqp://a:planted-url@h/"}',
        f"token=planted-token Authorization: Bearer planted.in.a.log {TOKEN} {device_key}",
    ]
    log.write_text("\n".join(lines))
    out = tmp_path / "bundle.json"
    assert (
        main(["support-bundle", "--spool", str(tmp_path / "spool"), "--out", str(out), "--log", str(log)])
        == 0
    )
    said = out.read_text() + capsys.readouterr().out
    bundle = json.loads(out.read_text())
    assert bundle["spool"]["states"] == {"finished": 1, "ready": 1}
    assert len(bundle["log"]) == 2
    assert "***@127.0.0.1:1" in bundle["settings"]["HTTPS_PROXY"]
    for planted in ("planted", KEY, device_key, "successor", "signature", "PLANTED"):
        assert planted not in said, planted
