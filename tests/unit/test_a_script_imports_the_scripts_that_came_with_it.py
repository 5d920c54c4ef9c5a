"""At a site nobody is asked for the scripts that a script imports: they are there before it starts."""

from pathlib import Path

import pytest

from tests.unit.executing import Site, entries

SCRIPTS = {
    "f/shop/prices": "from .taxes import VAT\n\ndef net(gross): return round(gross / (1 + VAT), 2)\n",
    "f/shop/taxes": "VAT = 0.19\n",
    "u/admin/my-tool": "name = 'tool'\n",
    "f/shop/total": "raise RuntimeError('its own text is another')\n",
    "../../outside": "",
    "json": "raise RuntimeError('the standard library is meant')\n",
}


@pytest.mark.parametrize(
    "line",
    ["from f.shop.prices import net", "from .prices import net", "from . import prices\nnet = prices.net"],
)
async def test_whichever_way_they_are_named(tmp_path: Path, line: str) -> None:
    code = f"import json\nfrom u.admin.my_tool import name\n{line}\n\ndef main(x): return [net(x), name]\n"
    ran = await Site(tmp_path / "work").python(code, {"x": 119}, path="f/shop/total", scripts=SCRIPTS)
    assert ran.document == [100.0, "tool"], ran.log
    assert entries(tmp_path) == ["work"]


async def test_forked_from_a_warm_parent_too(tmp_path: Path) -> None:
    site = Site(tmp_path / "work", warm=True)
    try:
        await site.warmed_up()
        code = "from .prices import net\n\ndef main(x): return net(x)\n"
        for scripts, answer in ((SCRIPTS, 100.0), (SCRIPTS | {"f/shop/taxes": "VAT = 0\n"}, 119.0)):
            ran = await site.python(code, {"x": 119}, path="f/shop/total", scripts=scripts)
            assert ran.document == answer, ran.log
    finally:
        site.executor.close()


async def test_without_them_it_says_which_is_missing(tmp_path: Path) -> None:
    ran = await Site(tmp_path).python("from f.shop.prices import net\ndef main(): pass", path="f/shop/total")
    assert (ran.outcome.success, ran.document["name"]) == (False, "ModuleNotFoundError")
