"""The example storefront, before the whole service, in a headless Chromium with scripts off."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from acceptance.shop import Shop, open_shop, settings_in
from playwright.async_api import Page, expect

from .example_process import EXAMPLES, SCRIPTS, running

SQL, COOKBOOK = "Buy Intro to SQL", "Buy The Query Cookbook"


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(settings_in(tmp_path)) as opened:
        yield opened


@pytest.fixture
async def storefront(shop: Shop) -> AsyncIterator[str]:
    command: list[str | Path] = [
        SCRIPTS / "uvicorn",
        "storefront:app",
        "--app-dir",
        EXAMPLES / "storefront",
        "--port",
        "0",
    ]
    async with running(command, {"PAYMENTS_TARGET": shop.running.grpc_address}) as example:
        yield (await example.until(r"running on (http://\S+)")).group(1)


async def test_a_buyer_buys_a_book_and_finds_its_licence_key(storefront: str, page: Page) -> None:
    await page.goto(storefront)
    await page.get_by_role("button", name=COOKBOOK).click()
    assert "The Query Cookbook" in await page.inner_text("main")
    await page.get_by_role("button", name="Pay €19.50").click()

    await page.wait_for_url(f"{storefront}/thanks?session_id=cs_test_*")
    await expect(page.get_by_role("heading", name="It is yours")).to_be_visible(timeout=15_000)
    assert "19.50 EUR paid" in await page.inner_text("main")
    assert "Licence key" in await page.inner_text("main")


async def test_the_page_waits_for_a_slow_bank_and_shows_when_it_has_paid(
    storefront: str, page: Page, shop: Shop
) -> None:
    await page.goto(storefront)
    await page.get_by_role("button", name=SQL).click()
    await page.get_by_role("button", name="Pay later by bank").click()
    await expect(page.get_by_text("Your bank is sending the money")).to_be_visible()
    session_id = page.url.partition("session_id=")[2]

    await shop.sandbox("POST", f"sessions/{session_id}/settle")
    await expect(page.get_by_role("heading", name="It is yours")).to_be_visible(timeout=15_000)


async def test_a_buyer_who_cancels_is_back_at_the_shelf(storefront: str, page: Page) -> None:
    await page.goto(storefront)
    await page.get_by_role("button", name=SQL).click()
    await page.get_by_role("link", name="Cancel").click()

    await expect(page.get_by_text("nothing was bought")).to_be_visible()


async def test_the_same_form_twice_is_one_order(storefront: str, page: Page) -> None:
    await page.goto(storefront)
    await page.get_by_role("button", name=SQL).click()
    await page.wait_for_url("**/pay/**")
    first = page.url
    await page.go_back()
    await page.get_by_role("button", name=SQL).click()
    await page.wait_for_url("**/pay/**")

    assert page.url == first


async def test_an_order_is_shown_to_its_own_buyer_alone(storefront: str, page: Page, shop: Shop) -> None:
    order = await shop.checkout()
    await page.goto(storefront)

    for session_id in (order.checkout_session_id, "cs_test_none", ""):
        reply = await page.goto(f"{storefront}/thanks?session_id={session_id}")
        assert reply is not None
        assert reply.status == 404
        assert "No such order here" in await page.inner_text("main")


async def test_while_stripe_is_away_the_buyer_is_told_and_can_try_again(
    storefront: str, page: Page, shop: Shop
) -> None:
    await shop.sandbox("PUT", "faults", {"api": {"status": 500, "when": "before", "probability": 1.0}})
    await page.goto(storefront)
    await page.get_by_role("button", name=SQL).click(timeout=40_000)
    await expect(page.get_by_role("alert")).to_contain_text("Nothing was charged", timeout=40_000)

    await shop.sandbox("DELETE", "faults")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("button", name="Pay €49.00")).to_be_visible(timeout=40_000)


async def test_the_shelf_fits_a_phone(storefront: str, page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.goto(storefront)
    box = await page.locator("main").bounding_box()

    assert box is not None
    assert box["width"] <= 360
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
