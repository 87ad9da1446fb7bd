"""Which events go where is said by the installation alone; what could loop or is no URL stops the start."""

import pytest

from payments_service.errors import ConfigurationError
from payments_service.forwarding.targets import read_targets

OWN = frozenset({"http://127.0.0.1:8080"})


def test_an_event_goes_once_to_each_url_that_a_pattern_names() -> None:
    targets = read_targets(
        '{"customer.*": "http://plans/hook", "*": "http://all/hook", "invoice.paid": "http://all/hook"}'
    )

    assert targets.urls == ["http://all/hook", "http://plans/hook"]
    assert targets.urls_of("customer.subscription.updated") == ["http://all/hook", "http://plans/hook"]
    assert targets.urls_of("invoice.paid") == ["http://all/hook"]


def test_without_the_setting_nothing_goes_anywhere() -> None:
    assert read_targets("").urls_of("invoice.paid") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "no JSON"),
        ("[]", "JSON object"),
        ('{"*": 7}', "JSON object"),
        ('{"*": "ftp://plans/hook"}', "http:// or https://"),
        ('{"*": "http://user:secret@plans/hook"}', "no user"),
        ('{"*": "http://127.0.0.1:8080/webhooks/stripe"}', "would loop"),
    ],
)
def test_a_setting_that_cannot_be_meant_stops_the_start(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        read_targets(text, OWN)
