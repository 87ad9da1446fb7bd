"""Settings are judged as a whole: what is wrong, what has no effect, and which commands would refuse to start."""

import pytest

from payments_service.diagnosis.address_check import judge_addresses
from payments_service.diagnosis.finding import Level
from payments_service.diagnosis.settings_check import judge_settings
from payments_service.settings import read_settings, read_what_is_right

from .findings import messages, only

KEY = {"stripe_api_key": "sk_test_1", "stripe_webhook_secrets": "whsec_1"}
SHARED = {"database_url": "postgresql://host/db", "broker_url": "redis://host"}


def judged(**changes: object) -> list[tuple[Level, str]]:
    return [(found.level, found.message) for found in judge_settings(read_settings(**changes), {}, [])]


@pytest.mark.parametrize(
    ("changes", "level", "said"),
    [
        ({}, Level.OK, "`payments up` can start; `serve`, `bridge` and `worker` need PostgreSQL and a broker."),
        (KEY | SHARED, Level.OK, "`serve`, `bridge` and `worker` can start."),
        (SHARED, Level.PROBLEM, "`serve` and `bridge` and `worker` refuse to start. PAYMENTS_STRIPE_API_KEY is empty"),
        (SHARED | {"stripe_api_key": "sk_test_1"}, Level.PROBLEM, "`bridge` refuses to start. PAYMENTS_STRIPE_WEBHOOK"),
        ({"stripe_api_key": "sk_test_1"}, Level.PROBLEM, "`payments up` refuses to start. PAYMENTS_STRIPE_WEBHOOK"),
        (KEY | {"database_url": SHARED["database_url"]}, Level.WARNING, "Only `payments up` can start"),
        ({"claimed_types": "course"}, Level.PROBLEM, "PAYMENTS_CLAIMED_TYPES names course"),
        (KEY | SHARED | {"tls_cert": "none.pem"}, Level.PROBLEM, "`serve` refuses to start. PAYMENTS_TLS_KEY is empty"),
    ],
)
def test_which_commands_could_start_is_said_with_the_reason(changes: dict[str, str], level: Level, said: str) -> None:
    [(found, message)] = judged(**changes)

    assert found is level
    assert said in message


def test_each_reason_is_said_once() -> None:
    found = judged(**SHARED, claimed_types="course", tls_cert="none.pem")

    assert [message.partition(" to start")[0] for _, message in found] == ["`serve` and `bridge` and `worker` refuse"]


def test_wrong_values_are_all_named_and_the_rest_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENTS_RETENTION_DAYS", "soon")
    monkeypatch.setenv("PAYMENTS_STRIPE_API_KEY", "geheim")
    monkeypatch.setenv("PAYMENTS_GRPC_ADDRESS", "0.0.0.0:50051")
    monkeypatch.setenv("PAYMENTS_BRIDGE_ADDRESS", "127.0.0.1:8181")

    settings, wrong = read_what_is_right()
    said = messages(judge_settings(settings, wrong, []), Level.PROBLEM)

    assert settings.bridge_address == "127.0.0.1:8181"
    assert set(wrong) == {"retention_days", "stripe_api_key", "grpc_address"}
    assert "geheim" not in " ".join(said)
    assert len(said) == 3


def test_a_name_that_is_no_setting_is_told_with_the_one_that_was_meant() -> None:
    names = ["PAYMENTS_STRIPE_KEY", "PAYMENTS_XYZZY", "PATH", "PAYMENTS_GRPC_SERVICE_HOST", "PAYMENTS_BRIDGE_PORT"]

    found = [*judge_settings(read_settings(), {}, [*names, "PAYMENTS_GRPC_PORT_50051_TCP_ADDR"])]

    assert messages(found) == [
        "PAYMENTS_STRIPE_KEY is no setting and has no effect.",
        "PAYMENTS_XYZZY is no setting and has no effect.",
    ]
    assert only(found, "PAYMENTS_STRIPE_KEY").remedy == "Did you mean PAYMENTS_STRIPE_API_KEY?"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"public_url": "https://pay.example"}, []),
        ({"public_url": "http://pay.example"}, ["not by HTTPS"]),
        ({"stripe_api_key": "sk_live_1"}, ["names no address that buyers could reach"]),
        ({"stripe_api_key": "sk_live_1", "public_url": "https://pay.example"}, []),
    ],
)
def test_what_buyers_and_stripe_must_reach_is_judged(changes: dict[str, str], said: list[str]) -> None:
    found = messages(judge_addresses(read_settings(**changes)))

    assert len(found) == len(said)
    assert all(text in message for text, message in zip(said, found, strict=True))
