"""What the jobs need of whoever knows variables and resources."""

from typing import Protocol

from bridge.errors import BridgeError
from bridge.jobs.model import Pulled


class Unresolved(BridgeError):
    """An argument names a variable or resource that is not there. The job fails with this text."""


class Arguments(Protocol):
    async def resolve(self, job: Pulled) -> Pulled:
        """The job with `$var:` and `$res:` replaced by what they name. Raises `Unresolved`."""
        ...
