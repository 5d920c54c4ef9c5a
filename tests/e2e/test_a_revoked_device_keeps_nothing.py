"""The bridge takes a token away and proves it; a refusal without that proof wipes nothing."""

import secrets
from pathlib import Path

import pytest

from agent.errors import Revoked
from agent.spool.sealing import is_sealed
from agent.spool.wiping import KEPT, NOTE, require_not_revoked, wipe
from agent.trust import Keyring
from agent.wire.revoked import is_proved, proof_of
from agent.wire.tokens import token_id
from bridge.relay.signer import Signer
from tests.support.until import until
from tests.support.world import World
from tests.unit.executing import has_ended


async def test_what_runs_is_stopped_and_the_spool_is_wiped_and_a_new_token_begins_anew(
    brokerless: World, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text(secrets.token_hex(32))
    key.chmod(0o600)
    agent = brokerless.site("bash")
    agent.settings["SPOOL_KEY_FILE"] = str(key)
    await agent.start()
    pid = tmp_path / "pid"
    began = f"echo $$ > {pid}.tmp; mv {pid}.tmp {pid}; sleep 300"
    running = brokerless.cluster.submit(f"if [ -e {pid} ]; then echo again; else {began}; fi", "bash")
    waiting = brokerless.cluster.submit("echo next", "bash")
    await until(pid.exists, within_s=30)
    body = {"token": agent.settings["AGENT_TOKEN"]}
    brokerless.cluster.post("/api/agent_workers/blacklist_token", body)
    assert await until(lambda: agent.process.exit_code, within_s=90) == 1
    assert "was revoked, and its spool" in agent.log.read_text()
    assert {path.name for path in agent.spool.iterdir()} == KEPT
    assert all(is_sealed((agent.spool / name).read_bytes()) for name in ("device.key", "bridge.keys"))
    assert has_ended(int(pid.read_text()))
    agent.launch()
    assert await until(lambda: agent.process.exit_code, within_s=30) == 1
    agent.settings["AGENT_TOKEN"] = brokerless.cluster.token("bash", lives_s=7200)
    await agent.start()
    assert not (agent.spool / NOTE).exists()
    results = [(await brokerless.cluster.done(job, within_s=90))["result"] for job in (running, waiting)]
    assert results == ["again", "next"], "what it held was lost at the site, and not to the cluster"


def test_only_a_known_keys_word_on_this_very_token_is_a_proof() -> None:
    signer, stranger = Signer({"k": bytes(32)}), Signer({"k": bytes(31) + b"x"})
    verify = Keyring(signer.public_keys()).verify
    proof = proof_of("a.b.c", signer.sign)
    assert is_proved(proof, "jwt_agent_a.b.c", verify)
    assert not is_proved(proof, "jwt_agent_a.x.c", verify)
    assert not is_proved(proof_of("a.b.c", stranger.sign), "jwt_agent_a.b.c", verify)
    for noise in ("", "k", "k ?", "other " + proof.partition(" ")[2]):
        assert not is_proved(noise, "jwt_agent_a.b.c", verify)


def test_a_wipe_that_was_cut_off_goes_on_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / NOTE).write_text(token_id("a.b.c"))
    (tmp_path / "identity").write_text("north-abcde")
    (tmp_path / "spool.db").write_text("jobs")
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "x").write_text("result")
    with pytest.raises(Revoked, match="mint a new token"):
        require_not_revoked(tmp_path, token_id("a.b.c"))
    assert {path.name for path in tmp_path.iterdir()} == {NOTE, "identity"}
    require_not_revoked(tmp_path, token_id("another"))
    assert {path.name for path in tmp_path.iterdir()} == {"identity"}
    wipe(tmp_path, token_id("another"))
    assert (tmp_path / NOTE).read_text().strip() == token_id("another")
