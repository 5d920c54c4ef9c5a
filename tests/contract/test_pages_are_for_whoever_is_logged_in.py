"""The pages' way in: a session by a form, back to where one wanted to go, and nothing from another site."""

import pytest

from bridge.web.headers import ALWAYS
from tests.support.cluster import PASSWORD, Running

LOGIN = {"email": "admin@orvanta.local", "password": PASSWORD, "next": "/workers?state=down"}


async def test_who_is_not_logged_in_is_sent_there_and_back(cluster: Running) -> None:
    async with cluster.client(None) as browser:
        sent = await browser.get("/workers?state=down")
        assert (sent.status_code, sent.headers["location"]) == (303, "/login?next=%2Fworkers%3Fstate%3Ddown")
        form = await browser.get(sent.headers["location"])
        assert 'name="next" value="/workers?state=down"' in form.text
        answer = await browser.post("/login", data=LOGIN)
        assert (answer.status_code, answer.headers["location"]) == (303, "/workers?state=down")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert (await browser.get("/workers")).status_code == 200
        assert (await browser.post("/logout")).headers["location"] == "/login"
        assert (await browser.get("/workers")).status_code == 303


async def test_a_wrong_password_is_said_and_no_more(cluster: Running) -> None:
    answer = await cluster.client(None).post("/login", data=LOGIN | {"password": "wrong"})
    assert answer.status_code == 401
    assert "do not belong together" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("elsewhere", ["https://evil.example", "//evil.example/x", "/\\evil.example", "x"])
async def test_nobody_is_led_to_another_site(cluster: Running, elsewhere: str) -> None:
    answer = await cluster.client(None).post("/login", data=LOGIN | {"next": elsewhere})
    assert answer.headers["location"] == "/workers"


@pytest.mark.parametrize("path", ["/login", "/logout"])
async def test_another_site_makes_no_browser_speak(cluster: Running, path: str) -> None:
    async with cluster.client(None) as browser:
        assert (await browser.post("/login", data=LOGIN)).status_code == 303
        theirs = {"sec-fetch-site": "cross-site"}
        assert (await browser.post(path, data=LOGIN, headers=theirs)).status_code == 403
        assert (await browser.get("/workers")).status_code == 200


async def test_a_script_and_a_stream_are_told_in_their_own_way(cluster: Running) -> None:
    stranger = cluster.client(None)
    by_script = await stranger.get("/workers", headers={"hx-request": "true"})
    assert (by_script.status_code, by_script.headers["hx-redirect"]) == (401, "/login")
    assert (await stranger.get("/workers", headers={"accept": "text/event-stream"})).status_code == 204


async def test_every_page_has_the_strict_headers(cluster: Running) -> None:
    for path in ("/login", "/workers"):
        answer = await cluster.admin.get(path)
        assert answer.headers.items() >= (ALWAYS | {"cache-control": "no-store"}).items()
        assert "<style" not in answer.text
        assert " style=" not in answer.text
        assert " onclick=" not in answer.text
