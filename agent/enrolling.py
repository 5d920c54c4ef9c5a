"""Enrolment as this device: its key proves it, the bridge's keys are pinned, a new token is taken over."""

from dataclasses import replace
from typing import Any

import structlog

from agent.errors import KeysUnknown, SpoolUnusable
from agent.link.enrol import enrol, keyring
from agent.link.link import Enrolment, LinkKind
from agent.spool.credentials import Credentials, Pinned
from agent.tls.outbound import SYSTEM, Outbound

log = structlog.get_logger()


class Enrolling:
    """Implements `life.Enrol` for one cluster."""

    def __init__(self, base_url: str, credentials: Credentials, outbound: Outbound = SYSTEM) -> None:
        self._base_url = base_url
        self._outbound = outbound
        self._credentials = credentials

    async def enrol(self, suffix: str, about: dict[str, Any]) -> Enrolment:
        """Raises what `link.enrol.enrol` raises, and `KeysUnknown`."""
        enrolment = await self._asked(suffix, about)
        if enrolment.token and self._takes_over(enrolment.token):
            enrolment = await self._asked(suffix, about)  # with the new one, which ends the old one's life
        return self._pinned(enrolment)

    async def _asked(self, suffix: str, about: dict[str, Any]) -> Enrolment:
        mine = self._credentials
        return await enrol(self._base_url, mine.token, suffix, about, self._outbound, mine.device)

    def _takes_over(self, token: str) -> bool:
        """On disk before it is used. On a full disk the old one goes on, and the bridge offers again."""
        try:
            self._credentials.succeed(token)
        except SpoolUnusable as error:
            log.warning("token.not_kept", reason=str(error))
            return False
        log.info("token.renewed")
        return True

    def _pinned(self, enrolment: Enrolment) -> Enrolment:
        """With the keys that we trust (I4): at first all that it names, later what those vouch for.

        A bridge that has once signed what it tells is believed no other way again, whoever answers for it.
        """
        known = self._credentials.pinned(self._base_url)
        if not known.keys:
            trusted = enrolment.keys
        else:
            ring = keyring(replace(enrolment, keys=known.keys))
            ring.learn(enrolment.introductions)
            trusted = {kid: raw for kid, raw in enrolment.keys.items() if kid in ring}
            if not trusted:
                raise KeysUnknown(self._why_unknown(enrolment))
        if known.signs_control and not enrolment.signs_control and enrolment.link is LinkKind.AMQP:
            log.warning("control.unsigned", reason=self._why_unsigned())
        pinned = Pinned(trusted, known.signs_control or enrolment.signs_control)
        if pinned != known:
            self._pin(pinned)
        return replace(enrolment, keys=pinned.keys, signs_control=pinned.signs_control)

    def _pin(self, pinned: Pinned) -> None:
        try:
            self._credentials.pin(self._base_url, pinned)
        except SpoolUnusable as error:
            log.warning("keys.not_pinned", reason=str(error))
        else:
            log.info("keys.pinned", keys=sorted(pinned.keys), signs_control=pinned.signs_control)

    def _why_unsigned(self) -> str:
        return (
            f"{self._base_url} does not sign what it tells any more, as a release before it did: receipts, "
            "grants and cancels are refused, results are kept. Run the newer release again; else remove "
            f"{self._credentials.keys_file} to trust it as it is."
        )

    def _why_unknown(self, enrolment: Enrolment) -> str:
        named = ", ".join(sorted(enrolment.keys)) or (
            "none, as a cluster without a bridge" if enrolment.link is LinkKind.PLAIN else "none"
        )
        return (
            f"{self._base_url} names signing keys ({named}) that no key known here vouches for; nothing is "
            f"taken from it. If its store was made anew, remove {self._credentials.keys_file} to trust it."
        )
