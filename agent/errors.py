"""What can go wrong on the agent's side, and what it means for the jobs it holds."""


class AgentError(Exception):
    """AgentError: ConfigError · Unwanted · ToolRefused · Revoked
    · LinkDown(TokenRefused(DeviceRefused), NoEnrolment, KeysUnknown, AdmissionWaits, AnswerLost)
    · SpoolError(SpoolLocked, SpoolUnusable, SpoolGone, SpoolFull)
    · Refused(TagNotHeld, NotAllowed, Replayed)
    """


class ConfigError(AgentError):
    """A setting is missing or wrong. The message names it and the mend."""


class LinkDown(AgentError):
    """The link is gone. Nothing is lost: the spool holds it. Policy: `link/retry.py`."""


class TokenRefused(LinkDown):
    """The cluster refused the agent token. What is held goes on, and results stay in the spool."""

    def __init__(self, message: str, proof: str = "") -> None:
        """`proof`: that the token was taken away for good, in the words of `wire/revoked.py`."""
        super().__init__(message)
        self.proof = proof


class Revoked(AgentError):
    """The bridge has proved that it took the token away: the agent ends, and its spool is wiped."""


class DeviceRefused(TokenRefused):
    """The token holds, and is bound to another device, or this one waits for an admin's approval."""


class KeysUnknown(LinkDown):
    """The bridge names keys that nothing we trust vouches for: another bridge, or a stranger (I4)."""


class NoEnrolment(LinkDown):
    """The cluster answers 404 to enrolment: a plain Orvanta without a bridge."""


class AdmissionWaits(LinkDown):
    """A whole fleet comes back, and the bridge named this agent's turn: `wait_s` from now."""

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class AnswerLost(LinkDown):
    """A request went out and no answer came back: the cluster may have taken it, or not."""


class Unwanted(AgentError):
    """The cluster refuses this one request, and would again; the link is as it was."""


class SpoolError(AgentError):
    """The spool cannot be used as it is."""


class SpoolLocked(SpoolError):
    """Another agent uses this folder."""


class SpoolUnusable(SpoolError):
    """The folder is missing and cannot be made, is not writable, or its disk is full."""


class SpoolGone(SpoolError):
    """The folder was deleted, or another one is in its place, while the agent ran."""


class SpoolFull(SpoolError):
    """At the quota or the floor: nothing new starts; what runs goes on (I6)."""

    def __init__(self, free_mb: float, need_mb: float) -> None:
        super().__init__(
            f"the spool has {free_mb:g} MB free and this job reserves {need_mb:g} MB; "
            "raise SPOOL_QUOTA_MB or free the disk. Held jobs go on."
        )


class ToolRefused(AgentError):
    """What `agent spool` was asked for cannot be done as it was asked."""


class Refused(AgentError):
    """A job that this agent must not run (I4)."""


class TagNotHeld(Refused):
    """The job's tag is not among the token's tags."""


class NotAllowed(Refused):
    """The site's own policy does not allow the job."""


class LanguageNotRun(Refused):
    """What the job is written in cannot be run here; another agent of its tag may."""


class Replayed(Refused):
    """This attempt was here before, and is over."""
