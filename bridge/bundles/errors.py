"""Why a bundle cannot be made."""

from bridge.errors import BridgeError


class NotMade(BridgeError):
    """NotMade: NotToBeHad · IndexDown"""


class NotToBeHad(NotMade):
    """The lock asks for what is not there for this platform. The message says for what, and the mend."""


class IndexDown(NotMade):
    """What it is fetched from does not answer. Tried again."""
