"""The names of pulls, so that a lost answer strands no job: asked by the same name, it is the same job."""

import secrets


class PullKeys:
    """Outlives the lives of the link. A name is kept until there is certainly no job that only it can get."""

    def __init__(self) -> None:
        self._unanswered: list[str] = []  # the oldest first
        self._under_way: set[str] = set()  # asked in this life of the link, or its job is not yet held

    @property
    def any_unanswered(self) -> bool:
        return bool(self._unanswered)

    def next(self) -> str:
        """For a pull that is about to leave; first those of which nobody knows what they got."""
        key = self._unanswered.pop(0) if self._unanswered else secrets.token_hex(16)
        self._under_way.add(key)
        return key

    def unanswered(self, key: str) -> None:
        self._under_way.discard(key)
        self._unanswered.append(key)

    def use_up(self, key: str) -> None:
        """Its job is held, or it got none."""
        self._under_way.discard(key)

    def ask_again(self) -> None:
        """A new life of the link: what was under way in the last one came to nothing."""
        self._unanswered += sorted(self._under_way)
        self._under_way.clear()

    def names(self) -> list[str]:
        return [*self._unanswered, *sorted(self._under_way)]
