"""A browser without scripts, and processes that are run as a user runs them."""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright

CHROMIUM = shutil.which("chromium", path="/usr/bin:" + os.environ.get("PATH", ""))
_MISSING = "Chromium is not installed, so the storefront is not driven: apt-get install -y chromium (Debian)"


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    if CHROMIUM is None:
        if os.environ.get("CI") == "true":
            pytest.fail(_MISSING)
        pytest.skip(_MISSING)
    async with async_playwright() as playwright:
        # Containers run as root, where Chromium's own sandbox does not.
        flags = ["--no-sandbox", "--disable-features=BackForwardCache"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield await browser.new_page(java_script_enabled=False)
        await browser.close()
