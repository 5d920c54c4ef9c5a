"""Login in a browser: a cookie that no script reads, no other site uses, and that logout ends."""

from http.cookies import SimpleCookie

import httpx

from tests.support.cluster import BASE_URL, PASSWORD, Running

EMAIL = "admin@orvanta.local"
LOGIN = {"email": EMAIL, "password": PASSWORD}
WORKSPACE = {"id": "shops", "name": "Shops"}


async def test_the_cookie_is_the_browsers_alone(cluster: Running) -> None:
    for base_url, name, secure in ((BASE_URL, "orvanta", ""), ("https://c", "__Host-orvanta", True)):
        browser = cluster.client(None)
        browser.base_url = httpx.URL(base_url)
        said = (await browser.post("/api/auth/login", json=LOGIN)).headers["set-cookie"]
        cookie = SimpleCookie(said)[name]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/")
        assert cookie["secure"] == secure
        assert (await browser.get("/api/users/whoami")).json()["email"] == EMAIL


async def test_what_another_site_sends_is_refused(cluster: Running) -> None:
    browser = cluster.client(None)
    await browser.post("/api/auth/login", json=LOGIN)
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil"},
    ):
        for path, body in (("/api/workspaces/create", WORKSPACE), ("/api/auth/login", LOGIN)):
            refused = await browser.post(path, json=body, headers=headers)
            assert (refused.status_code, "another site" in refused.text) == (403, True)
    for headers in ({"sec-fetch-site": "same-origin"}, {"origin": BASE_URL}):
        made = await browser.post("/api/workspaces/create", json=WORKSPACE, headers=headers)
        assert "another site" not in made.text
    bearer = await cluster.admin.post(
        "/api/workspaces/create", json={"id": "labs", "name": "Labs"}, headers={"origin": "http://a.tool"}
    )
    assert bearer.status_code == 201


async def test_logout_ends_the_token_itself(cluster: Running) -> None:
    browser = cluster.client(None)
    token = (await browser.post("/api/auth/login", json=LOGIN)).text
    assert (await browser.post("/api/auth/logout")).status_code == 200
    assert not browser.cookies
    assert (await cluster.client(token).get("/api/users/whoami")).status_code == 401


async def test_a_session_is_no_agents_token(cluster: Running) -> None:
    browser = cluster.client(None)
    await browser.post("/api/auth/login", json=LOGIN)
    assert (await browser.post("/api/agent_workers/pull_job", json={})).status_code == 401


async def test_guessing_is_slow_from_one_address_and_for_one_account(cluster: Running) -> None:
    guesser = cluster.client(None)
    wrong = {"email": EMAIL, "password": "x"}
    answers = [await guesser.post("/api/auth/login", json=wrong) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 300
    assert (await guesser.post("/api/auth/login", json=LOGIN)).status_code == 429
    cluster.clock.ahead_s = 301
    assert (await guesser.post("/api/auth/login", json=LOGIN)).status_code == 200


async def test_every_answer_restrains_the_browser(cluster: Running) -> None:
    for path in ("/api/openapi.json", "/api/users/whoami", "/nowhere"):
        headers = (await cluster.client(None).get(path)).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in headers
    secure = cluster.client(None)
    secure.base_url = httpx.URL("https://c")
    assert "strict-transport-security" in (await secure.get("/nowhere")).headers
