"""`migrate` and `settings` say what is, and what to change; passwords and keys stay hidden."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from payments_service.settings import Settings
from payments_service.storage.database import open_database

from .command_line import CommandLine


async def test_migrating_says_from_which_revision_to_which(tmp_path: Path, blank_database_url: str) -> None:
    payments = CommandLine(tmp_path, database_url=blank_database_url)

    first = await payments.run("migrate", "--json")
    second = await payments.run("migrate")

    assert (first.code, first.json["before"]) == (0, None)
    assert f"at revision {first.json['after']} already" in second.out


async def test_a_newer_schema_is_not_touched(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/payments.db"
    payments = CommandLine(tmp_path, database_url=url)
    await payments.run("migrate")
    async with open_database(url) as database, database.transaction() as transaction:
        await transaction.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    finished = await payments.run("migrate")

    assert (finished.code, finished.out) == (1, "")
    assert "it is newer" in finished.err


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("postgresql://user:geheim@127.0.0.1:1/db", "cannot be reached or opened"),
        ("mysql://user:geheim@127.0.0.1/db", "write sqlite:///path/to/file, or postgresql://"),
        ("sqlite:////proc/nowhere/payments.db", "/proc/nowhere/payments.db cannot be opened or made"),
    ],
)
async def test_a_database_that_cannot_be_used_is_named_without_its_password(
    tmp_path: Path, url: str, complaint: str
) -> None:
    finished = await CommandLine(tmp_path, database_url=url).run("migrate")

    assert finished.code == 1
    assert finished.err.startswith("Error: PAYMENTS_DATABASE_URL: ")
    assert complaint in finished.err
    assert "user:geheim" not in finished.err


async def test_each_setting_is_listed_with_where_it_comes_from(tmp_path: Path) -> None:
    payments = CommandLine(tmp_path, bridge_address="127.0.0.1:8181", claimed_types="gift_card,voucher")

    finished = await payments.run("settings", "--json")

    assert set(finished.json) == {f"PAYMENTS_{name.upper()}" for name in Settings.model_fields}
    assert finished.json["PAYMENTS_BRIDGE_ADDRESS"] == {"value": "127.0.0.1:8181", "source": "set"}
    assert finished.json["PAYMENTS_CLAIMED_TYPES"] == {"value": "gift_card, voucher", "source": "set"}
    assert finished.json["PAYMENTS_PUBLIC_URL"] == {"value": "http://127.0.0.1:8181", "source": "default"}
    assert finished.json["PAYMENTS_TARGET"] == {"value": "127.0.0.1:50051", "source": "default"}


async def test_no_secret_is_listed_but_its_kind(tmp_path: Path) -> None:
    payments = CommandLine(
        tmp_path,
        stripe_api_key="sk_test_geheim",
        stripe_webhook_secrets="whsec_geheim, whsec_geheim2",
        token="geheim",
        database_url="postgresql://user:geheim@host/db",
        broker_url="amqp://user:geheim@host",
        forward_urls=json.dumps({"invoice.*": "https://user:geheim@host/hook"}),
    )

    piped, shown = await payments.run("settings", "--json"), await payments.on_terminal("settings", columns=80)

    assert "geheim" not in piped.out + piped.err + shown
    assert piped.json["PAYMENTS_STRIPE_API_KEY"]["value"] == "sk_test_***"
    assert piped.json["PAYMENTS_STRIPE_WEBHOOK_SECRETS"]["value"] == "whsec_***, whsec_***"
    assert piped.json["PAYMENTS_TOKEN"] == {"value": "***", "source": "set"}
    assert piped.json["PAYMENTS_DATABASE_URL"]["value"] == "postgresql+asyncpg://user:***@host/db"
