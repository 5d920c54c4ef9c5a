"""What can go wrong on the bridge's side."""


class BridgeError(Exception):
    """BridgeError: ConfigError · BrokerDown
    · ClusterDown(TokenRefused, NotTaken, AnswerLost(TooDeep), Declined)
    · BadRequest · NotAuthorized · PermissionDenied · NotFound · NotYet
    (what the API answers, agent-api.md section 2)
    · ChallengeNeeded · DeviceRefused (what an enrolling agent is told)
    · ExpressionFailed
    """


class ConfigError(BridgeError):
    """A setting is missing or wrong. The message names it and the mend."""


class BrokerDown(BridgeError):
    """RabbitMQ is gone. The ledger holds every job; the supervisor builds a new session."""


class ClusterDown(BridgeError):
    """The cluster does not answer. What the broker holds stays there until it does."""


class TokenRefused(ClusterDown):
    """The cluster refused the bridge's own agent token."""


class NotTaken(ClusterDown):
    """The cluster has done nothing of what was asked, and may do it the next time."""


class AnswerLost(ClusterDown):
    """The cluster may have done what was asked; its answer did not come, or told of a failure midway."""


class TooDeep(AnswerLost):
    """The answer came, and is nested too deep to be read."""


class Declined(ClusterDown):
    """The cluster understood and said no (a 4xx); asked the same again, it says the same."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class BadRequest(BridgeError):
    """400: what was sent is wrong. The message says how to mend it."""


class NotAuthorized(BridgeError):
    """401: no token, or one that does not hold."""


class PermissionDenied(BridgeError):
    """403: the token holds and does not allow this."""


class ChallengeNeeded(BridgeError):
    """The device must sign `challenge` to prove that it has its key."""

    def __init__(self, challenge: str) -> None:
        super().__init__("sign the challenge with the device key")
        self.challenge = challenge


class DeviceRefused(BridgeError):
    """The token holds, and is not this device's. The message names the device that has it."""


class NotFound(BridgeError):
    """404: there is no such thing here."""


class NotYet(BridgeError):
    """429: asked too often. The message and `wait_s` say when to ask again."""

    def __init__(self, text: str, wait_s: float) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class ExpressionFailed(BridgeError):
    """An expression of a flow came to nothing. The message quotes it and says why, for its author."""
