"""What a spool folder knows of itself survives its database; what of it is lost is said by name."""

import stat
from base64 import b64encode
from contextlib import ExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.enrolling import Enrolling
from agent.errors import KeysUnknown, SpoolUnusable
from agent.link.link import Enrolment, LinkKind
from agent.logs import Secret, without_secrets
from agent.spool.credentials import FILES, Credentials, Pinned, looked_at, seal_credentials
from agent.spool.sealing import Seal, is_sealed
from agent.trust import SigningKey

GIVEN = Secret("jwt_agent_a.b.c")
URL = "http://bridge.test"
KEY = bytes(range(32))


def known(folder: Path, given: Secret = GIVEN, *, is_new: bool = False) -> Credentials:
    return Credentials(folder, given, is_new=is_new)


def test_a_restart_keeps_it_and_only_its_user_reads_it(tmp_path: Path) -> None:
    made = known(tmp_path, is_new=True)
    made.succeed("jwt_agent_d.e.f")
    made.pin(URL, Pinned({"kid": "key"}, signs_control=True))
    for name in ("device.key", "token", "bridge.keys"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
    with capture_logs() as logs:
        again = known(tmp_path)
    assert again.device.kid == made.device.kid
    assert again.token.reveal() == "jwt_agent_d.e.f"
    assert again.pinned(URL) == Pinned({"kid": "key"}, signs_control=True)
    assert logs == []


@pytest.mark.parametrize("damage", [None, "zz", "00" * 31])
def test_a_lost_key_is_named_and_another_one_made(tmp_path: Path, damage: str | None) -> None:
    lost = known(tmp_path, is_new=True).device.kid
    file = tmp_path / "device.key"
    file.unlink() if damage is None else file.write_text(damage)
    with capture_logs() as logs:
        made = known(tmp_path).device.kid
    assert made != lost
    assert [(one["event"], one["device"]) for one in logs] == [("device.key_lost", made)]
    assert "approves" in logs[0]["mend"]
    assert known(tmp_path).device.kid == made


def test_a_token_of_the_settings_that_is_another_one_wins(tmp_path: Path) -> None:
    known(tmp_path).succeed("jwt_agent_d.e.f")
    assert known(tmp_path, Secret("jwt_agent_x.y.z")).token.reveal() == "jwt_agent_x.y.z"
    assert known(tmp_path).token.reveal() == "jwt_agent_d.e.f"
    (tmp_path / "token").write_text("[1]")
    assert known(tmp_path).token == GIVEN


def test_what_was_in_the_clear_is_sealed_at_the_next_start_and_overwritten(tmp_path: Path) -> None:
    before = known(tmp_path, is_new=True)
    before.succeed("jwt_agent_d.e.f")
    before.pin(URL, Pinned({"kid": "key"}))
    cut_off = tmp_path / "token.tmp"  # of a start that a crash ended
    cut_off.write_text("jwt_agent_d.e.f")
    with ExitStack() as files:
        old = [files.enter_context((tmp_path / name).open("rb")) for name in (*FILES, cut_off.name)]
        after = Credentials(tmp_path, GIVEN, Seal(KEY), is_new=False)
        assert all(set(file.read()) == {0} for file in old)
    assert after.device.kid == before.device.kid
    assert after.token.reveal() == "jwt_agent_d.e.f"
    assert after.pinned(URL) == Pinned({"kid": "key"})
    assert all(is_sealed((tmp_path / name).read_bytes()) for name in FILES)
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)
    assert seal_credentials(tmp_path, Seal(KEY)) == 0, "once is enough"


@pytest.mark.parametrize("seal", [Seal(), Seal(bytes(32))])
def test_without_its_key_it_says_so_in_a_line_and_loses_nothing(tmp_path: Path, seal: Seal) -> None:
    made = Credentials(tmp_path, GIVEN, Seal(KEY), is_new=True)
    before = (tmp_path / "device.key").read_bytes()
    with pytest.raises(SpoolUnusable, match=r"device\.key is sealed with a key that") as refused:
        Credentials(tmp_path, GIVEN, seal, is_new=False)
    assert "\n" not in str(refused.value)
    assert (tmp_path / "device.key").read_bytes() == before
    assert Credentials(tmp_path, GIVEN, Seal(KEY), is_new=False).device.kid == made.device.kid


def test_a_sealed_key_that_is_damaged_is_named_and_another_one_made(tmp_path: Path) -> None:
    lost = Credentials(tmp_path, GIVEN, Seal(KEY), is_new=True).device.kid
    file = tmp_path / "device.key"
    file.write_bytes(file.read_bytes()[:-1])
    for seal in (Seal(KEY), Seal(bytes(32), KEY)):  # as it is, and when all is sealed anew
        with capture_logs() as logs:
            assert Credentials(tmp_path, GIVEN, seal, is_new=False).device.kid != lost
        assert [one["event"] for one in logs] == ["device.key_lost"]
        file.write_bytes(file.read_bytes()[:-1])


def test_a_token_that_was_taken_over_shows_in_no_log_from_then_on(tmp_path: Path) -> None:
    known(tmp_path).succeed("jwt_agent_eyJtaken.over.then")
    assert without_secrets("Bearer jwt_agent_north_eyJtaken.over.then") == "Bearer jwt_agent_north_***"


def test_a_folder_that_takes_nothing_says_why(tmp_path: Path) -> None:
    (tmp_path / "device.key.tmp").mkdir()
    with pytest.raises(SpoolUnusable, match="Is a directory"):
        known(tmp_path)


class Bridge(Enrolling):
    """Answers with these keys."""

    def __init__(self, folder: Path, url: str = URL) -> None:
        super().__init__(url, known(folder))
        self.answer = Enrolment(worker="w", worker_group="g", tags=("t",), shared_tags=())

    async def _asked(self, *_about: object) -> Enrolment:
        return self.answer

    async def keys(
        self, keys: dict[str, str], *introductions: str, link: LinkKind = LinkKind.AMQP
    ) -> set[str]:
        self.answer = Enrolment(
            worker="w", worker_group="g", tags=("t",), shared_tags=(), link=link, keys=keys,
            introductions=introductions,
        )  # fmt: skip
        return set((await self.enrol("", {})).keys)

    async def signs_control(self, key: SigningKey, *, says: bool, link: LinkKind = LinkKind.AMQP) -> bool:
        """Whether what it tells has to be signed, after it has said whether it is."""
        self.answer = Enrolment(
            worker="w", worker_group="g", tags=("t",), shared_tags=(), link=link, signs_control=says,
            keys={key.kid: b64encode(key.public).decode()},
        )  # fmt: skip
        return (await self.enrol("", {})).signs_control


async def test_a_bridge_with_other_keys_is_another_bridge(tmp_path: Path) -> None:
    """I4. And it says how to mend it."""
    one, two, stranger = SigningKey.made(), SigningKey.made(), SigningKey.made()
    public = {key.kid: b64encode(key.public).decode() for key in (one, two, stranger)}
    bridge = Bridge(tmp_path)
    assert await bridge.keys({one.kid: public[one.kid]}) == {one.kid}
    for named in ({stranger.kid: public[stranger.kid]}, {}):
        with pytest.raises(KeysUnknown, match=r"remove .*bridge\.keys"):
            await bridge.keys(named, stranger.introduce(two).text())
    with pytest.raises(KeysUnknown, match="without a bridge"):
        await bridge.keys({}, link=LinkKind.PLAIN)
    both = {kid: public[kid] for kid in (one.kid, two.kid, stranger.kid)}
    assert await bridge.keys(both, one.introduce(two).text()) == {one.kid, two.kid}
    assert await bridge.keys({two.kid: public[two.kid]}) == {two.kid}  # the first one is retired
    with pytest.raises(KeysUnknown):
        await bridge.keys({one.kid: public[one.kid]})
    assert await Bridge(tmp_path, "http://other.test").keys({stranger.kid: public[stranger.kid]})


@pytest.mark.parametrize("seal", [Seal(), Seal(bytes(32))])
def test_who_only_looks_sees_it_and_writes_nothing(tmp_path: Path, seal: Seal) -> None:
    made = Credentials(tmp_path, GIVEN, seal, is_new=True)
    made.succeed("jwt_agent_d.e.f")
    before = sorted((one.name, one.read_bytes()) for one in tmp_path.iterdir())
    device, token = looked_at(tmp_path, GIVEN, seal)
    assert device is not None
    assert (device.kid, token.reveal()) == (made.device.kid, "jwt_agent_d.e.f")
    assert looked_at(tmp_path, Secret("jwt_agent_x.y.z"), seal)[1].reveal() == "jwt_agent_x.y.z"
    assert sorted((one.name, one.read_bytes()) for one in tmp_path.iterdir()) == before
    (tmp_path / "device.key").write_text("zz")
    assert looked_at(tmp_path, GIVEN, seal)[0] is None
    assert looked_at(tmp_path / "none", GIVEN, seal) == (None, GIVEN)


async def test_a_bridge_that_signs_what_it_tells_is_believed_no_other_way_again(tmp_path: Path) -> None:
    """One that never did is of an older release. A link over HTTP says nothing about it."""
    key = SigningKey.made()
    bridge = Bridge(tmp_path)
    assert not await bridge.signs_control(key, says=False)
    assert await bridge.signs_control(key, says=True)
    with capture_logs() as logs:
        assert await Bridge(tmp_path).signs_control(key, says=False)
        assert await bridge.signs_control(key, says=False, link=LinkKind.HTTP)
    assert [one["event"] for one in logs] == ["control.unsigned"]
    assert f"remove {tmp_path / 'bridge.keys'}" in logs[0]["reason"]
    (tmp_path / "bridge.keys").unlink()
    assert not await bridge.signs_control(key, says=False)
