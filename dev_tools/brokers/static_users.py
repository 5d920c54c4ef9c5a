"""A RabbitMQ that is not ours asks none of our bridges: it is told its users, again when one is new."""

import json
import threading
import time
from pathlib import Path
from typing import Final

import httpx

from bridge import operators
from bridge.errors import BridgeError

LOOK_EVERY_S: Final = 1.0
REQUEST_S: Final = 15.0


def keep_told(amqp_url: str, store: Path, management_url: str) -> None:
    """From now on, for as long as this process lives and the bridge's store is there."""
    asked = {"AMQP_URL": amqp_url, "BRIDGE_STORE": str(store), "BROKER_AUTH": "static"}
    threading.Thread(target=_tell, args=(asked, store, management_url), daemon=True).start()


def _tell(asked: dict[str, str], store: Path, management_url: str) -> None:
    told: set[str] = set()
    while store.parent.exists():
        time.sleep(LOOK_EVERY_S)
        if not store.exists():
            continue
        try:
            definitions = json.loads(operators.broker("permissions", asked))
        except BridgeError:  # the bridge is just making it
            continue
        users = {user["name"] for user in definitions["users"]}
        if users - told:
            api = f"{management_url}/api/definitions"
            httpx.post(api, json=definitions, timeout=REQUEST_S).raise_for_status()
            told = users
