"""Settings are read from the environment, and a wrong one is named."""

import pytest

from payments_service.errors import ConfigurationError
from payments_service.settings import read_settings


@pytest.fixture
def setenv(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def test_with_nothing_set_the_service_is_embedded_on_loopback() -> None:
    settings = read_settings()

    assert settings.embedded
    assert settings.grpc_address == "127.0.0.1:50051"


def test_several_webhook_secrets_are_separated_by_commas(setenv: pytest.MonkeyPatch) -> None:
    setenv.setenv("PAYMENTS_STRIPE_WEBHOOK_SECRETS", "whsec_a, whsec_b")

    settings = read_settings()

    assert settings.webhook_secrets == ("whsec_a", "whsec_b")
    assert "whsec_a" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAYMENTS_GRPC_ADDRESS", "50051"),
        ("PAYMENTS_GRPC_ADDRESS", "0.0.0.0:50051"),
        ("PAYMENTS_STRIPE_API_BASE", "https://stripe.example"),
        ("PAYMENTS_RETENTION_DAYS", "soon"),
        ("PAYMENTS_DATABASE_URL", "mysql://host/db"),
        ("PAYMENTS_DATABASE_URL", "postgresql://host:port/db"),
        ("PAYMENTS_DATABASE_URL", "nonsense"),
    ],
)
def test_a_wrong_setting_is_named(setenv: pytest.MonkeyPatch, name: str, value: str) -> None:
    setenv.setenv(name, value)

    with pytest.raises(ConfigurationError, match=name):
        read_settings()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:p#a/s[w%3F@host:5432/db",
        "postgresql:///db?host=/run/postgresql",
        "postgresql://[::1]:5432/db",
        "sqlite:///file",
        "sqlite:////folder/file",
    ],
)
def test_a_database_is_taken_whatever_its_password_holds(setenv: pytest.MonkeyPatch, url: str) -> None:
    setenv.setenv("PAYMENTS_DATABASE_URL", url)

    assert read_settings().database_url.endswith(url.partition(":")[2])


def test_a_wrong_database_url_is_not_repeated(setenv: pytest.MonkeyPatch) -> None:
    setenv.setenv("PAYMENTS_DATABASE_URL", "mysql://user:geheim@host/db")

    with pytest.raises(ConfigurationError, match="PAYMENTS_DATABASE_URL") as refusal:
        read_settings()

    assert "geheim" not in str(refusal.value)


def test_beyond_loopback_plain_text_must_be_said_out_loud(setenv: pytest.MonkeyPatch) -> None:
    setenv.setenv("PAYMENTS_GRPC_ADDRESS", "0.0.0.0:50051")
    setenv.setenv("PAYMENTS_CALLERS_FILE", "callers.toml")
    with pytest.raises(ConfigurationError, match="PAYMENTS_PLAINTEXT=1"):
        read_settings()

    setenv.setenv("PAYMENTS_PLAINTEXT", "1")

    assert read_settings().plaintext


@pytest.mark.parametrize("plain", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_a_plain_postgresql_url_gets_the_driver_that_we_have(setenv: pytest.MonkeyPatch, plain: str) -> None:
    setenv.setenv("PAYMENTS_DATABASE_URL", f"{plain}://host/db")

    assert read_settings().database_url == "postgresql+asyncpg://host/db"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("public_url", "foo"),
        ("sandbox_webhook_url", "ftp://host/hook"),
        ("stripe_api_key", "foo"),
        ("stripe_webhook_secrets", "whsec_good,abc"),
    ],
)
def test_what_could_only_fail_later_is_refused_at_the_start_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"PAYMENTS_{name.upper()}") as refused:
        read_settings(**{name: value})

    assert value not in refused.value.message


def test_metrics_may_be_served_to_others_and_are_off_by_default() -> None:
    assert read_settings().metrics_address == ""
    assert read_settings(metrics_address="0.0.0.0:9090").metrics_address == "0.0.0.0:9090"
    with pytest.raises(ConfigurationError, match="PAYMENTS_METRICS_ADDRESS"):
        read_settings(metrics_address="9464")
