"""What is read out of a script's text, and of the scripts that it imports (openflow.md 6.4)."""

from collections.abc import Mapping

import pytest

from bridge.dependencies.errors import NotResolved
from bridge.dependencies.gathering import SCRIPTS_MAX, imported_by, python_request

MAIN = "\ndef main():\n    pass\n"
PEP_723 = """# /// script
# requires-python = ">=3.12"
# dependencies = [
#   "httpx<1",
#   "rich",
# ]
# ///
import numpy
"""


def asked(code: str, scripts: Mapping[str, str] | None = None, path: str = "f/shop/a") -> list[str]:
    return list(python_request(code, path, (scripts or {}).get).requirements)


@pytest.mark.parametrize(
    ("code", "requirements"),
    [
        ("", []),
        ("import os, json\nfrom collections.abc import Mapping\nimport tomllib", []),
        ("import distutils, cgi", []),  # no longer everywhere, and nothing to install
        ("import httpx", ["httpx"]),
        ("import httpx.client as c, numpy as np", ["httpx", "numpy"]),
        ("from sqlalchemy.orm import Session", ["sqlalchemy"]),
        ("import typing_extensions", ["typing-extensions"]),
        ("import cv2, yaml, bs4", ["PyYAML", "beautifulsoup4", "opencv-python-headless"]),
        ("from PIL import Image\nimport sklearn", ["Pillow", "scikit-learn"]),
        ("import psycopg2\nfrom Crypto.Cipher import AES", ["psycopg2-binary", "pycryptodome"]),
        ("import dateutil.parser\nfrom dotenv import load_dotenv", ["python-dateutil", "python-dotenv"]),
        ("from google.cloud import storage, bigquery", ["google-cloud-bigquery", "google-cloud-storage"]),
        ("from google.cloud.storage import Client", ["google-cloud-storage"]),
        ("from ruamel.yaml import YAML", ["ruamel.yaml"]),
        ("from azure.storage.blob import X", ["azure-storage-blob"]),
        ("from (\n", []),  # no Python at all
        ("from httpx import (\n  get,\n  post,\n)", ["httpx"]),
        ("import httpx; import rich", ["httpx", "rich"]),
        ("try:\n    import ujson\nexcept ImportError:\n    pass", []),
        ("if True:\n    import pandas", []),
        ("'''\nimport fake\n'''", []),
        ("# import fake", []),
        ("def f():\n    import late", []),
        ("import httpx\nprint 'Python 2'", ["httpx"]),  # line by line where it cannot be parsed
        ("import httpx, rich as r\nfrom yaml import (load\n)\nprint 2", ["PyYAML", "httpx", "rich"]),
        ("from .b import x\nimport httpx\nprint 2", ["httpx"]),
        ("from f.shop.none import x", []),
        ("import u.admin.none", []),
    ],
)
def test_imports(code: str, requirements: list[str]) -> None:
    assert asked(code) == requirements
    assert asked(code + MAIN + "\nimport behind_main") == requirements


@pytest.mark.parametrize("header", ["def main(a):", "async def main(\n  a):", "@decorated\ndef main (a):"])
def test_what_stands_behind_main_is_not_looked_at(header: str) -> None:
    assert asked(f"import httpx\n\n{header}\n    import late\n\nimport behind\n") == ["httpx"]


@pytest.mark.parametrize(
    ("code", "requirements"),
    [
        ("# requirements:\n# httpx==0.28.1\n#  rich\n#\n\nimport numpy", ["httpx==0.28.1", "rich"]),
        ("#requirements:\n#rich  # for tables\n# py: 3.12\n#numpy", ["rich"]),
        ("# requirements:\nimport numpy", []),
        ("# extra_requirements:\n# openpyxl>=3\nimport pandas", ["openpyxl>=3", "pandas"]),
        ("# requirements:\n# rich\n# extra_requirements:\n# numpy\nimport httpx", ["rich"]),
        ("import httpx # pin: httpx==0.27.0", ["httpx==0.27.0"]),
        ("import cv2 # pin: opencv-python==4.10.0.84", ["opencv-python==4.10.0.84"]),
        ("import httpx, yaml # pin: PyYAML==6", ["PyYAML==6", "httpx"]),
        ("from httpx import (\n  get, # repin: httpx==0.26\n)", ["httpx==0.26"]),
        ("import httpx # pin: httpx==1\nimport httpx # repin: httpx==2", ["httpx==2"]),
        ("import os # pin: os-patched==1", ["os-patched==1"]),
        (PEP_723, ["httpx<1", "rich"]),
        ("# /// script\n# ///\nimport numpy", []),
    ],
)
def test_its_own_words(code: str, requirements: list[str]) -> None:
    assert asked(code + MAIN) == requirements


@pytest.mark.parametrize(
    ("code", "version"),
    [
        ("", "3.11"),
        ("# py: 3.12", "3.12"),
        ("# py: ==3.13.*", "3.13"),
        ("# py: >=3.11", "3.11"),
        ("# py: >=3.12,<3.14", "3.12"),
        ("# py: >3.11, !=3.12", "3.13"),
        ("# py: ~=3.12", "3.12"),
        ("# py: <=3.10", "3.10"),
        ("#py312", "3.12"),
        ("# py310\nimport os", "3.10"),
        ("# py: >=3.11.4", "3.11"),
        (PEP_723, "3.12"),
        ("# py: <3.14\n" + PEP_723, "3.12"),
        ("# pyramid\n# py: fast", "3.11"),
    ],
)
def test_its_version_of_python(code: str, version: str) -> None:
    assert python_request(code + MAIN, None, {}.get).version == version


SHOP = {
    "f/shop/b": "import httpx # pin: httpx==1\nfrom f.shop import c\nfrom .a import x",
    "f/shop/c": "import numpy\nfrom ..other.d import y\nfrom . import e",
    "f/other/d": "# py: >=3.12\nimport rich",
    "f/shop/e": "import yaml",
    "u/admin/tool": "import polars",
}


def test_scripts_are_followed_wherever_they_lead() -> None:
    code = "from f.shop.b import x\nimport u.admin.tool"
    request = python_request(code, "f/shop/a", SHOP.get)
    assert request.requirements == ("PyYAML", "httpx==1", "numpy", "polars", "rich")
    assert request.version == "3.12"
    assert asked("import httpx # repin: httpx==2\n" + code, SHOP)[1] == "httpx==2"
    assert asked("# requirements:\n# left\n" + code, SHOP)[:2] == ["PyYAML", "httpx==1"]


def test_what_a_script_imports_itself_is_known_though_it_be_not_there_yet() -> None:
    def direct(code: str) -> tuple[str, ...]:
        return imported_by("python3", code, "f/shop/a", SHOP.get)

    assert direct("from f.shop.b import x\nfrom .c import y\nimport os") == ("f/shop/b", "f/shop/c")
    assert direct("from f.shop import b, late") == ("f/shop/b",)
    assert direct("from f.shop import late") == ("f/shop", "f/shop/late")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("# py: >3.20", "no Python that we know is >3.20"),
        ("# py: ==", "no version of Python"),
        ("# py: 3.11\nfrom f.other.d import x", "no Python that we know is"),
        ("# /// script\n# dependencies = [\n# ///", "is no TOML"),
        ("# requirements:\n# --index-url http://x", "no requirement that can be locked"),
        ("# requirements:\n# -r /etc/passwd", "no requirement"),
        ("# requirements:\n# ./folder", "no requirement"),
        ("# requirements:\n# x @ git+https://host/x", "no requirement"),
        ("# requirements:\n# httpx; x @ y", "no requirement"),
        ("import x # pin: -e .", "no requirement"),
    ],
)
def test_what_cannot_be_locked_is_told(code: str, told: str) -> None:
    with pytest.raises(NotResolved, match=told):
        asked(code + MAIN, SHOP)


@pytest.mark.parametrize(
    "text",
    ["httpx", "httpx==0.28.1", "httpx >= 0.27, < 1", "httpx[http2,socks]~=0.28", "a-b.c_d==1!2.0+local.1",
     "httpx (>=0.27)", "numpy; python_version < '3.12'", "x===1"],
)  # fmt: skip
def test_any_requirement_by_a_name_can(text: str) -> None:
    assert asked(f"# requirements:\n# {text}\n") == [text]


def test_a_script_that_imports_without_end_is_refused() -> None:
    def find(path: str) -> str:
        number = int(path.rsplit("/n", 1)[-1]) if "/n" in path else 0
        return f"from .n{number + 1} import x"

    with pytest.raises(NotResolved, match=f"more than {SCRIPTS_MAX} scripts"):
        python_request(find(""), "f/shop/a", find)
