"""A site's link to head office: several forwarded ports that are cut and restored together."""

from collections.abc import Mapping
from typing import Final

from dev_tools.proxy import Cut, LinkProxy


class SiteLink:
    def __init__(self, host: str, ports: Mapping[int, int]) -> None:
        """Up when the constructor returns. `ports`: port at `host` → port at 127.0.0.1."""
        self._proxies: Final = [LinkProxy("127.0.0.1", target, port, host) for port, target in ports.items()]

    @property
    def is_up(self) -> bool:
        return not any(proxy.is_cut for proxy in self._proxies)

    def restore(self) -> None:
        for proxy in self._proxies:
            proxy.restore()

    def cut(self, mode: Cut = Cut.REFUSE) -> None:
        """From the return on no byte passes."""
        for proxy in self._proxies:
            proxy.cut(mode)

    def close(self) -> None:
        for proxy in self._proxies:
            proxy.close()
