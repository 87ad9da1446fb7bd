"""Puts the checks of one installation together; which there are depends on its settings alone."""

from collections.abc import Iterable, Mapping

from payments_service.diagnosis.address_check import judge_addresses
from payments_service.diagnosis.backlog_check import check_backlog
from payments_service.diagnosis.broker_check import check_broker
from payments_service.diagnosis.examination import Check, examine
from payments_service.diagnosis.file_check import check_files
from payments_service.diagnosis.finding import Finding
from payments_service.diagnosis.postgres_check import check_postgres
from payments_service.diagnosis.settings_check import judge_settings
from payments_service.diagnosis.sqlite_check import check_sqlite
from payments_service.diagnosis.stripe_check import check_stripe
from payments_service.settings import Settings
from payments_service.storage.sqlite_facts import has_file


async def diagnose(settings: Settings, wrong: Mapping[str, str], variables: Iterable[str]) -> list[Finding]:
    """Look at everything; `wrong` is what of the settings is wrong, by field, and `variables` what is set."""

    async def check_settings(_: Settings) -> Iterable[Finding]:
        return judge_settings(settings, wrong, variables)

    checks = [
        Check("settings", check_settings),
        Check("addresses", check_addresses, ("grpc_address", "bridge_address", "public_url")),
        Check("files", check_files, ("callers_file", "tls_cert", "tls_key")),
        Check("database", check_sqlite if settings.embedded else check_postgres, ("database_url",)),
        Check("broker", check_broker, ("broker_url",)),
        Check("stripe", check_stripe, ("stripe_api_key", "stripe_api_base")),
    ]
    if not settings.embedded or has_file(settings.database_url):
        checks.append(Check("backlog", check_backlog, ("database_url",)))
    return await examine(settings, wrong, checks)


async def check_addresses(settings: Settings) -> Iterable[Finding]:
    """Judge the addresses; nothing is asked."""
    return judge_addresses(settings)
