"""What can go wrong on the bridge's side."""


class BridgeError(Exception):
    """BridgeError: ConfigError · BrokerDown · ClusterDown(TokenRefused)"""


class ConfigError(BridgeError):
    """A setting is missing or wrong. The message names it and the mend."""


class BrokerDown(BridgeError):
    """RabbitMQ is gone. The ledger holds every job; the supervisor builds a new session."""


class ClusterDown(BridgeError):
    """The cluster does not answer. What the broker holds stays there until it does."""


class TokenRefused(ClusterDown):
    """The cluster refused the bridge's own agent token."""
