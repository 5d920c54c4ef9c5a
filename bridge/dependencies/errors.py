"""What keeps a script's dependencies from being known."""

from bridge.errors import BridgeError


class NotResolved(BridgeError):
    """There is no lock. The message tells the script's author what is in the way, and the mend."""
