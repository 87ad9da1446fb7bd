"""The way back from the checkout in a headless Chromium with scripts off: the page follows the order by itself."""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, async_playwright

from payments_service.orders.states import FulfillmentState, PaymentState

from .buyer import Buyer

CHROMIUM = shutil.which("chromium", path="/usr/bin:" + os.environ.get("PATH", ""))
_MISSING = "Chromium is not installed, so the return pages are not driven: apt-get install -y chromium (Debian)"


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


async def test_a_buyer_pays_comes_back_and_sees_the_order_become_ready(buyer: Buyer, page: Page) -> None:
    order = await buyer.order()
    await page.goto(order.checkout_url)
    await page.get_by_role("button", name="Pay $49.00").click()
    await page.get_by_role("heading", name="Payment received").wait_for()
    assert page.url.startswith(f"{buyer.url}/checkout/return?session_id={order.checkout_session_id}")
    assert "Order ready" in await page.locator("li[aria-current=step]").inner_text()

    await buyer.shop.change(order.order_id, fulfillment_state=FulfillmentState.FULFILLED)

    await page.get_by_role("heading", name="Your order is ready").wait_for()


async def test_a_buyer_who_pays_by_bank_sees_the_money_arrive(buyer: Buyer, page: Page) -> None:
    order = await buyer.order()
    await page.goto(order.checkout_url)
    await page.get_by_role("button", name="Pay later by bank").click()
    await page.get_by_role("heading", name="Waiting for your bank").wait_for()

    await buyer.shop.change(order.order_id, payment_state=PaymentState.PAID)

    await page.get_by_role("heading", name="Payment received").wait_for()


async def test_a_buyer_who_goes_away_is_told_that_nothing_was_charged(buyer: Buyer, page: Page) -> None:
    order = await buyer.order()
    await page.goto(order.checkout_url)
    await page.get_by_role("link", name="Cancel").click()
    await page.get_by_role("heading", name="Checkout cancelled").wait_for()
    assert "have not been charged" in await page.inner_text("main")


async def test_the_pages_own_style_is_allowed_by_their_policy(buyer: Buyer, page: Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(f"{buyer.url}/checkout/cancelled")

    assert await page.locator("main").evaluate("element => getComputedStyle(element).textAlign") == "center"
    assert complaints == []


async def test_the_page_fits_a_phone(buyer: Buyer, page: Page) -> None:
    order = await buyer.order()
    await page.set_viewport_size({"width": 320, "height": 640})
    await page.goto(f"{buyer.url}/checkout/return?session_id={order.checkout_session_id}")
    for part in ("main", ".steps", ".total"):
        box = await page.locator(part).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 320
