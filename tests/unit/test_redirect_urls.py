"""Where a buyer may be sent back to: https, or this machine."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_service.checkout.redirect_urls import MAX_LENGTH, PLACEHOLDER, url_problem


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/thanks",
        "https://shop.example/thanks?session={CHECKOUT_SESSION_ID}&from=mail#top",
        "https://shop.example:8443/a%20b",
        "https://xn--bcher-kva.example",
        "https://[2001:db8::1]/thanks",
        "http://localhost:3000/thanks",
        "http://127.0.0.1/thanks",
        "http://[::1]:8080/thanks",
    ],
)
def test_a_page_on_the_web_or_on_this_machine_is_fine(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("shop.example/thanks", "https://"),
        ("/thanks", "https://"),
        ("https:///thanks", "host"),
        ("https://", "host"),
        ("ftp://shop.example", "https://"),
        ("javascript:alert(1)", "https://"),
        ("data:text/html,x", "https://"),
        ("http://shop.example", "https"),
        ("http://localhost.shop.example", "https"),
        ("https://user@shop.example", "without a user"),
        ("https://shop.example@evil.example", "without a user"),
        ("https://shop.example/a b", "must encode"),
        ("https://shop.example/\n", "must encode"),
        (" https://shop.example", "must encode"),
        ("https://shop.example\\@evil.example", "must encode"),
        ("https://bücher.example", "must encode"),
        ("https://shop.example/{ORDER}", "must encode"),
        ("https://shop.example/\x00", "must encode"),
        ("https://[::1/thanks", "is not a URL"),
        ("https://shop.example:99999/", "is not a URL"),
        (PLACEHOLDER, "https://"),
        (f"https://{PLACEHOLDER}/thanks", "not in the host"),
        (f"https://{PLACEHOLDER}.shop.example/thanks", "not in the host"),
        ("https://shop.example/" + "a" * MAX_LENGTH, "characters"),
    ],
)
def test_whatever_else_says_what_is_wrong(url: str, text: str) -> None:
    assert text in (url_problem(url) or "")


@given(st.one_of(st.text(), st.text("htps:/@[]{}.#?%\\ 1a", max_size=30), st.from_regex(r"https?://[ -~]{0,20}")))
def test_any_text_gets_an_answer_and_only_https_or_this_machine_passes(text: str) -> None:
    if url_problem(text) is None:
        parts = urlsplit(text)
        assert parts.scheme == "https" or parts.hostname in {"localhost", "127.0.0.1", "::1"}
        assert parts.hostname
        assert parts.username is None
        assert text.isascii()
        assert text.isprintable()
