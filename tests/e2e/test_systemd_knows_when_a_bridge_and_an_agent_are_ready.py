"""The real programs under `Type=notify`: ready, alive, how it stands, the end; and secrets from systemd."""

from pathlib import Path

from tests.support.notified import Notified
from tests.support.until import until
from tests.support.world import Service, World

WATCHDOG_S = 0.6


def supervised(service: Service) -> Notified:
    """Its settings as systemd would add to them."""
    heard = Notified.in_folder(service.folder)
    service.settings |= {"NOTIFY_SOCKET": heard.address, "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))}
    return heard


async def test_from_the_start_to_the_end(tmp_path: Path) -> None:
    with World(tmp_path) as world, supervised(world.bridge) as of_bridge:
        await world.open()
        assert of_bridge.lines[0] == "READY=1"
        assert of_bridge.lines[1].startswith("STATUS=listens on 127.0.0.1:")
        agent = world.site("bash")
        secrets = tmp_path / "credentials"
        secrets.mkdir()
        (secrets / "agent_token").write_text(agent.settings.pop("AGENT_TOKEN"))
        (secrets / "spool_key").write_text("\n")  # as SetCredential= of the unit says that there is none
        for secret in secrets.iterdir():
            secret.chmod(0o400)
        agent.settings["CREDENTIALS_DIRECTORY"] = str(secrets)
        with supervised(agent) as of_agent:
            await agent.start()
            assert of_agent.lines[0] == "READY=1"  # also where there is no link yet
            await until(lambda: any(line.startswith("STATUS=link up, 0 jobs") for line in of_agent.lines))
            await until(lambda: of_agent.pings > 1 and of_bridge.pings > 1)
            assert "STOPPING=1" not in of_agent.lines + of_bridge.lines
            assert agent.stop() == 0
            assert "STOPPING=1" in of_agent.lines
        world.bridge.stop()
        assert "STOPPING=1" in of_bridge.lines
