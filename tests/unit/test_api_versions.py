"""An event of a version that nobody knows yet is handled, and the version named once."""

import pytest
import stripe
from structlog.testing import capture_logs

from payments_service.inbox.api_versions import NEWEST, ApiVersionWatch, is_known


def test_the_newest_known_version_is_the_sdks() -> None:
    assert stripe.api_version == NEWEST


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("", True),
        (NEWEST, True),
        ("2020-08-27", True),
        ("2025-03-31.basil", True),
        ("2027-03-01.fig", False),
        ("2018-01-01", False),
        ("preview", False),
    ],
)
def test_versions_are_known_by_their_date(version: str, known: bool) -> None:  # noqa: FBT001, RUF100
    assert is_known(version) is known


def test_an_unknown_version_is_named_once() -> None:
    watch = ApiVersionWatch()
    with capture_logs() as lines:
        watch.see("2027-03-01.fig", "evt_1")
        watch.see("2027-03-01.fig", "evt_2")
        watch.see(NEWEST, "evt_3")

    assert [line["api_version"] for line in lines] == ["2027-03-01.fig"]
