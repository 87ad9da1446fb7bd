"""The checkout page, driven in a headless Chromium with scripts off, as a buyer would."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
import stripe
from playwright.async_api import Browser, Page, async_playwright
from stripe.params.checkout import SessionCreateParams

from stripe_sandbox.currencies import format_amount
from stripe_sandbox.sandbox_server import Sandbox

from .sandbox_driver import Controls, course, membership
from .webhook_receiver import WebhookReceiver

CHROMIUM = shutil.which("chromium", path="/usr/bin:" + os.environ.get("PATH", ""))
_MISSING = "Chromium is not installed, so the checkout page is not driven: apt-get install -y chromium (Debian)"
Opened = Callable[[SessionCreateParams], Awaitable[str]]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        if os.environ.get("CI") == "true":
            pytest.fail(_MISSING)
        pytest.skip(_MISSING)
    async with async_playwright() as playwright:
        # Containers run as root, where Chromium's own sandbox does not.
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        await launched.close()


@pytest.fixture
async def page(browser: Browser) -> Page:
    return await browser.new_page(java_script_enabled=False)


@pytest.fixture
def opened(client: stripe.StripeClient, page: Page, receiver: WebhookReceiver) -> Opened:
    async def open_page(params: SessionCreateParams) -> str:
        params["success_url"] = receiver.shop + "/thanks?id={CHECKOUT_SESSION_ID}"
        if "cancel_url" in params:
            params["cancel_url"] = receiver.shop + "/basket"
        session = await client.v1.checkout.sessions.create_async(params)
        await page.goto(str(session.url))
        return session.id

    return open_page


def _items(currency: str, amount: int, name: str = "Course", quantity: int = 1) -> list[dict[str, object]]:
    data = {"currency": currency, "unit_amount": amount, "product_data": {"name": name, "description": "All of it"}}
    return [{"price_data": data, "quantity": quantity}]


async def test_a_buyer_pays_and_arrives_at_the_shop_after_the_webhook(
    opened: Opened, page: Page, receiver: WebhookReceiver
) -> None:
    session_id = await opened(course(line_items=_items("usd", 4900, quantity=2)))
    assert "SANDBOX" in await page.inner_text("body")
    assert "Quantity 2" in await page.inner_text("body")
    await page.get_by_role("button", name="Pay $98.00").click()
    await page.wait_for_url(f"{receiver.shop}/thanks?id={session_id}")
    assert "checkout.session.completed" in receiver.types()


async def test_a_buyer_pays_later_and_the_bank_settles_on_the_front_page(
    opened: Opened, page: Page, sandbox: Sandbox, receiver: WebhookReceiver
) -> None:
    await opened(course())
    await page.get_by_role("button", name="Pay later by bank").click()
    await page.wait_for_url("**/shop/thanks?id=cs_test_*")
    await page.goto(sandbox.url)
    await page.get_by_role("button", name="Settle the payment").click()
    await receiver.until_types("checkout.session.async_payment_succeeded")
    await page.get_by_role("button", name="Settle the payment").wait_for(state="detached")


async def test_a_declined_buyer_is_told_and_can_try_again(opened: Opened, page: Page) -> None:
    await opened(course())
    await page.get_by_role("button", name="Decline a card").click()
    assert "Your card was declined" in await page.get_by_role("alert").inner_text()
    await page.get_by_role("button", name="Pay $49.00").click()
    await page.wait_for_url("**/shop/thanks?id=cs_test_*")


async def test_a_buyer_cancels(opened: Opened, page: Page) -> None:
    await opened(course())
    await page.get_by_role("link", name="Cancel").click()
    await page.wait_for_url("**/shop/basket")


async def test_there_is_no_cancel_where_there_is_nowhere_to_go(opened: Opened, page: Page) -> None:
    params = course()
    del params["cancel_url"]
    await opened(params)
    assert await page.get_by_role("link", name="Cancel").count() == 0


async def test_a_second_visit_shows_the_end(opened: Opened, page: Page, controls: Controls) -> None:
    paid = await opened(course())
    await controls.move(paid, "pay")
    await page.reload()
    assert "Payment complete" in await page.inner_text("main")
    delayed = await opened(course())
    await controls.move(delayed, "pay_later")
    await page.reload()
    assert "on its way" in await page.inner_text("main")
    await controls.move(delayed, "fail")
    await page.reload()
    assert "payment failed" in await page.inner_text("main")
    expired = await opened(course())
    await controls.move(expired, "expire")
    await page.reload()
    assert "has expired" in await page.inner_text("main")
    assert await page.get_by_role("button").count() == 0


async def test_totals_are_written_as_the_currency_is(opened: Opened, page: Page) -> None:
    shown = {"jpy": "¥12,340", "kwd": "KWD 12.340", "eur": "€123.40", "isk": "ISK 124"}
    for currency, total in shown.items():
        amount = 12400 if currency == "isk" else 12340
        assert format_amount(amount, currency) == total
        await opened(course(line_items=_items(currency, amount)))
        assert await page.get_by_role("button", name=f"Pay {total}", exact=True).count() == 1


async def test_many_items_are_folded_and_unfold_without_a_script(opened: Opened, page: Page) -> None:
    await opened(course(line_items=[item for n in range(12) for item in _items("usd", 100, name=f"Part {n}")]))
    last = page.get_by_text("Part 11", exact=True)
    assert not await last.is_visible()
    await page.get_by_text("7 more items").click()
    assert await last.is_visible()


async def test_on_a_phone_the_refusal_is_in_sight(opened: Opened, page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 640})
    await opened(course(line_items=_items("usd", 4900) * 5))
    await page.get_by_role("button", name="Decline a card").click()
    alert = await page.get_by_role("alert").bounding_box()
    assert alert is not None
    assert 0 <= alert["y"] <= 640 - alert["height"]


async def test_a_subscription_says_how_often_it_is_paid(opened: Opened, page: Page) -> None:
    await opened(membership())
    assert "per month" in await page.inner_text("main")
    await page.get_by_role("button", name="Subscribe for €15.00").click()
    await page.wait_for_url("**/shop/thanks?id=cs_test_*")


async def test_nothing_of_a_checkout_is_read_as_html(opened: Opened, page: Page) -> None:
    await opened(course(line_items=_items("usd", 4900, name='<img src=x onerror="alert(1)">')))
    assert '<img src=x onerror="alert(1)">' in await page.inner_text("main")
    assert await page.locator("main img").count() == 0


async def test_the_page_fits_a_phone(opened: Opened, page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    await opened(course(line_items=_items("usd", 4900, name="Averylongnamewithoutanyspace" * 6)))
    box = await page.locator("main").bounding_box()
    assert box is not None
    assert box["width"] <= 360
    button = await page.get_by_role("button", name="Pay $49.00").bounding_box()
    assert button is not None
    assert button["x"] + button["width"] <= 360


async def test_a_checkout_that_is_not_there_is_a_404(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    for method in ("GET", "POST"):
        async with http.request(method, f"{sandbox.url}/pay/cs_test_none") as reply:
            assert reply.status == 404
