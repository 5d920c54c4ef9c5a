"""Which part of a list is asked for."""

from typing import Protocol


class Paged(Protocol):
    @property
    def page(self) -> int:
        """From 1 on."""
        ...

    @property
    def per_page(self) -> int: ...


def window(wanted: Paged) -> dict[str, int]:
    """The values of a statement that has `LIMIT :per_page OFFSET :skip`."""
    return {"per_page": wanted.per_page, "skip": (wanted.page - 1) * wanted.per_page}
