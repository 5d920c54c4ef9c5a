"""What can be wrong with something that arrived."""


class WireError(Exception):
    """WireError: Malformed · WrongVersion · TooLarge · BadSignature · NameTooLong · Unresolved"""


class Malformed(WireError):
    """Not msgpack, not our map, or a required field is missing or of the wrong type."""


class WrongVersion(WireError):
    """A version of the contract that this release does not speak."""


class TooLarge(WireError):
    """Over `MAX_BYTES`, as it came or once decompressed."""


class BadSignature(WireError):
    """Unsigned, signed by a key we do not hold, or changed on the way (I4)."""


class NameTooLong(WireError):
    """A routing key or queue name over AMQP's 255 bytes."""


class Unresolved(WireError):
    """An argument names what is not there, or may not be read by its job."""
