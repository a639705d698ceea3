"""What a web page in a real browser can do to the local cloud: nothing, whatever its name comes to mean."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.attacks.conftest import Standing

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]

# What the page tries, one after the other; it tells what it could read of each answer.
TRY = """
async (base) => {
  const forged = {"Authorization": "AWS4-HMAC-SHA256 Credential=local/20261130/us-east-1/ec2/aws4_request, "
                                   + "SignedHeaders=host, Signature=" + "0".repeat(64)};
  const form = {"Content-Type": "application/x-www-form-urlencoded"};
  const make = "Action=CreateVpc&CidrBlock=10.0.0.0/16&Version=2016-11-15";
  const tries = {
    "list": ["/enaxp/resources", {}],
    "calls": ["/enaxp/calls", {}],
    "faults": ["/enaxp/faults", {method: "POST", body: '{"faults": []}'}],
    "faults unseen": ["/enaxp/faults", {method: "POST", body: '{"faults": []}', mode: "no-cors"}],
    "end": ["/enaxp/end", {method: "POST", body: "{}"}],
    "end unseen": ["/enaxp/end", {method: "POST", body: "{}", mode: "no-cors"}],
    "reset": ["/moto-api/reset", {method: "POST"}],
    "reset unseen": ["/moto-api/reset", {method: "POST", mode: "no-cors"}],
    "data": ["/moto-api/data.json", {}],
    "make": ["/", {method: "POST", headers: {...forged, ...form}, body: make}],
    "make unseen": ["/", {method: "POST", mode: "no-cors", body: new URLSearchParams(make)}],
  };
  const got = {};
  for (const [name, [path, how]] of Object.entries(tries)) {
    try {
      const answer = await fetch(base + path, how);
      got[name] = answer.type === "opaque" ? "opaque" : String(answer.status);
    } catch (error) {
      got[name] = "kept from it";
    }
  }
  return got;
}
"""


@pytest.fixture
def standing(shared_standing: Standing) -> Standing:
    return shared_standing


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """To which evil.test and rebound.test mean 127.0.0.1."""
    rules = "MAP evil.test 127.0.0.1, MAP rebound.test 127.0.0.1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            # Without what newer browsers check by themselves: an older one has to get nothing as well.
            args=[
                "--no-sandbox",
                f"--host-resolver-rules={rules}",
                "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of evil.test. The first document of each name is the test's."""
    fresh = browser.new_page()
    fresh.route("**/first", _serve_first)
    yield fresh
    fresh.close()


def _serve_first(route: Route) -> None:
    route.fulfill(status=200, content_type="text/html", body="<!doctype html><title>first</title>")


def test_a_page_from_elsewhere_gets_nothing(standing: Standing, page: Page) -> None:
    page.goto("http://evil.test/first")

    got = page.evaluate(TRY, standing.cloud.endpoint_url)

    assert set(got.values()) <= {"kept from it", "opaque"}, got
    assert standing.is_whole()


def test_a_page_whose_name_comes_to_mean_this_computer_gets_nothing(standing: Standing, page: Page) -> None:
    """DNS rebinding: to the browser the cloud is the page's own server."""
    page.goto(f"http://rebound.test:{standing.port}/first")
    served = []
    page.on("response", lambda answer: served.append((answer.url, answer.status)))

    got = page.evaluate(TRY, "")

    assert set(got.values()) == {"403"}, got
    assert {status for _, status in served} == {403}
    assert standing.is_whole()


def test_a_page_that_names_the_cloud_s_own_address_gets_nothing(standing: Standing, page: Page) -> None:
    """As a page would that some other program serves on this computer."""
    page.goto("http://127.0.0.1:9/first")

    got = page.evaluate(TRY, standing.cloud.endpoint_url)

    assert set(got.values()) <= {"kept from it", "opaque"}, got
    assert standing.is_whole()


def test_a_form_and_a_picture_get_nothing(standing: Standing, page: Page) -> None:
    page.goto("http://evil.test/first")
    answers = []
    page.on("response", lambda answer: answers.append((answer.url, answer.status)))

    url = standing.cloud.endpoint_url
    page.evaluate("(url) => { const i = new Image(); i.src = url + '/enaxp/resources'; document.body.append(i); }", url)
    page.set_content(f"<form method=post enctype=text/plain action='{url}/moto-api/reset'><button>go</button></form>")
    with page.expect_response(f"{url}/**"):
        page.click("button")

    assert answers
    assert {status for address, status in answers if address.startswith(url)} == {403}
    assert standing.is_whole()
