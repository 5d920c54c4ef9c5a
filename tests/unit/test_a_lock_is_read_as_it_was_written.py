"""The text of a lock: for our agents, for others', and for whoever fetches what it names."""

import pytest

from bridge.dependencies.compiling import everywhere_on_linux
from bridge.dependencies.locks import NpmLock, Pin, PythonLock, npm_lock, python_lock
from bridge.dependencies.tools import environment_of, without_passwords

LOCK = PythonLock("3.12", (Pin("httpx", "0.28.1"), Pin("greenlet", "3.5.6", "platform_machine == 'x86_64'")))
TEXT = "# py: 3.12\nhttpx==0.28.1\ngreenlet==3.5.6 ; platform_machine == 'x86_64'"


def test_of_python() -> None:
    assert str(LOCK) == TEXT
    assert python_lock(TEXT, "3.11") == LOCK
    assert [one.key for one in LOCK.pins] == ["httpx==0.28.1", "greenlet==3.5.6"]
    theirs = "# from: somewhere\n  httpx == 0.28.1  ;python_version<'4'\n\n-e .\nx @ https://host/x.whl\n"
    assert python_lock(theirs, "3.11") == PythonLock("3.11", (Pin("httpx", "0.28.1", "python_version<'4'"),))


def test_of_npm() -> None:
    lock = NpmLock({"dependencies": {"x": "1.0.0"}}, {"lockfileVersion": 3})
    assert npm_lock(str(lock)) == lock
    assert npm_lock("") is None
    assert npm_lock("{}\n//bun.lock\n<empty>") is None  # another tool's
    with pytest.raises(ValueError, match="Expecting"):
        npm_lock(str(lock)[:-2])


@pytest.mark.parametrize(
    ("marker", "left"),
    [
        ("sys_platform == 'linux'", None),
        ("platform_machine == 'x86_64' and sys_platform == 'linux'", "platform_machine == 'x86_64'"),
        ("sys_platform == 'linux' and python_full_version < '3.13'", "python_full_version < '3.13'"),
        ("(a or b) and sys_platform == 'linux'", "(a or b)"),
    ],
)
def test_what_is_true_at_every_agent_is_left_out(marker: str, left: str | None) -> None:
    assert everywhere_on_linux(marker) == left


def test_a_resolver_is_given_the_way_to_its_packages_and_nothing_else() -> None:
    ours = {
        "PATH": "/bin", "HTTPS_PROXY": "http://proxy", "NPM_CONFIG_REGISTRY": "r", "UV_HTTP_TIMEOUT": "9",
        "PIP_INDEX_URL": "i", "PIP_EXTRA_INDEX_URL": "pip", "UV_EXTRA_INDEX_URL": "uv",
        "DATABASE_URL": "secret", "AMQP_URL": "secret", "AWS_SECRET": "secret",
    }  # fmt: skip
    assert environment_of(ours) == {
        "PATH": "/bin", "HTTPS_PROXY": "http://proxy", "NPM_CONFIG_REGISTRY": "r", "UV_HTTP_TIMEOUT": "9",
        "UV_INDEX_URL": "i", "UV_EXTRA_INDEX_URL": "uv",
    }  # fmt: skip
    assert without_passwords("from https://me:s3cr3t@host/simple, ok") == "from https://***@host/simple, ok"
