"""The settings: frozen, read from PAYMENTS_ variables once by the command line and handed down by bootstrap.

Nothing else reads the environment; an error names the variable and says what to write there.
"""

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from payments_service.errors import ConfigurationError

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
Names = Annotated[tuple[str, ...], NoDecode]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode]


class Settings(BaseSettings):
    """All settings of runtime.md; a field's name is its variable's without the prefix, in lower case."""

    model_config = SettingsConfigDict(env_prefix="PAYMENTS_", frozen=True, extra="ignore")

    database_url: str = "sqlite+aiosqlite:///.payments/payments.db"
    database_pool_size: int = Field(default=10, gt=0)
    """Connections of a process to PostgreSQL; a process with gRPC has one more, to listen."""
    database_wait: float = Field(default=60.0, ge=0)
    """Seconds for which a process that starts waits for a database that is away."""
    broker_url: str = "memory://"
    worker_processes: int = Field(default=1, gt=0, le=256)
    worker_threads: int = Field(default=8, gt=0, le=256)
    """How many events and fulfillments a worker's process has in work at once, and as many again of plug-ins."""
    grpc_address: str = "127.0.0.1:50051"
    bridge_address: str = "127.0.0.1:8080"
    stripe_api_key: SecretStr = SecretStr("")
    stripe_api_base: str = ""
    stripe_webhook_secrets: Secrets = ()
    sandbox_address: str = "127.0.0.1:12111"
    public_url: str = ""
    claimed_types: Names = ()
    target: str = ""
    token: SecretStr = SecretStr("")
    sandbox_webhook_url: str = ""
    sandbox_database: Path = Path(".payments/sandbox.db")
    tls_cert: Path | None = None
    tls_key: Path | None = None
    plaintext: bool = False
    reconcile_interval: float = Field(default=60.0, gt=0)
    """Seconds between two looks at Stripe's event list."""
    retention_days: int = Field(default=90, gt=0)
    grace_days: int = Field(default=3, ge=0)
    callers_file: Path | None = None
    metrics_address: str = ""
    """Where a process serves /metrics, which are no secret; empty: nowhere."""
    forward_urls: str = ""
    log_format: Literal["", "console", "json"] = ""

    @field_validator("stripe_webhook_secrets", "claimed_types", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("tls_cert", "tls_key", "callers_file", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return value or None

    @field_validator("grpc_address", "bridge_address", "sandbox_address", "metrics_address")
    @classmethod
    def _address(cls, value: str, field: ValidationInfo) -> str:
        if value or field.field_name != "metrics_address":
            split_address(value)
        return value

    @field_validator("public_url", "sandbox_webhook_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if value and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
            raise ValueError("write an http:// or https:// address with a host, or leave it empty")
        return value.rstrip("/")

    @field_validator("stripe_api_key")
    @classmethod
    def _key(cls, value: SecretStr) -> SecretStr:
        """Refuse what is no key; the value is a secret, so the error does not repeat it."""
        if value.get_secret_value() and not value.get_secret_value().startswith(("sk_", "rk_")):
            raise ValueError("write a secret or restricted key of Stripe's (sk_... or rk_...), or leave it empty")
        return value

    @field_validator("stripe_webhook_secrets")
    @classmethod
    def _webhook_secrets(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(secret.get_secret_value().startswith("whsec_") for secret in value):
            raise ValueError("write webhook secrets of Stripe's (whsec_...), separated by commas")
        return value

    @field_validator("database_url", mode="before")
    @classmethod
    def _async_driver(cls, value: object) -> object:
        """Take the plain URL that hosts hand out, and name the driver that this service has."""
        text = str(value)
        for plain, driver in _ASYNC_DRIVERS.items():
            if text.startswith(f"{plain}:"):
                text = driver + text.removeprefix(plain)
        if not _DATABASE_URL.fullmatch(text):  # the value may hold a password, so the error does not repeat it
            raise ValueError("write sqlite:///path/to/file, or postgresql://user:password@host:port/name")
        return text

    @field_validator("stripe_api_base")
    @classmethod
    def _loopback_base(cls, value: str) -> str:
        if value and urlsplit(value).hostname not in LOOPBACK_HOSTS:
            raise ValueError("only a loopback address may stand in for Stripe, or leave it empty")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        """Refuse an open door: everybody allowed, or plain text, beyond loopback."""
        host, _ = split_address(self.grpc_address)
        if host in LOOPBACK_HOSTS:
            return self
        if self.callers_file is None:
            raise ValueError(
                f"PAYMENTS_GRPC_ADDRESS is {self.grpc_address}, which others can reach, and without "
                "PAYMENTS_CALLERS_FILE everybody may do everything: name a callers file, or listen on 127.0.0.1"
            )
        if not (self.plaintext or (self.tls_cert and self.tls_key)):
            raise ValueError(
                f"PAYMENTS_GRPC_ADDRESS is {self.grpc_address}, which others can reach: set PAYMENTS_TLS_CERT "
                "and PAYMENTS_TLS_KEY, or PAYMENTS_PLAINTEXT=1 where a mesh encrypts"
            )
        return self

    @property
    def embedded(self) -> bool:
        """Whether the database is a SQLite file, which only `payments up` may own."""
        return self.database_url.startswith("sqlite")

    @property
    def stripe_key(self) -> str:
        """The key itself; never log it."""
        return self.stripe_api_key.get_secret_value()

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """The secrets themselves; never log them."""
        return tuple(secret.get_secret_value() for secret in self.stripe_webhook_secrets)


_ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}
_DATABASE_URL = re.compile(
    r"(?:sqlite\+aiosqlite|postgresql\+asyncpg)://"
    r"(?:[^:/]*(?::[^@]*)?@)?(?:\[[^/?]+\]|[^/:?]*)(?::\d+)?(?:[/?].*)?"
)


def split_address(address: str) -> tuple[str, int]:
    """Split `host:port`; port 0 means a free one."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{address!r} is not host:port, for example 127.0.0.1:50051")
    return host, int(port)


def read_settings(**overrides: object) -> Settings:
    """Read the environment; raises ConfigurationError naming each wrong variable."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        raise ConfigurationError("; ".join(_sentences(error))) from error


def read_what_is_right() -> tuple[Settings, dict[str, str]]:
    """Read the environment with the default in place of each wrong value; gives what is wrong, by the field's name."""
    defaults: dict[str, object] = {}
    wrong: dict[str, str] = {}
    while True:
        try:
            return Settings(**defaults), wrong  # type: ignore[arg-type]  # pydantic checks them
        except ValidationError as error:
            # What is wrong together is the address that others can reach: on loopback nothing is guarded.
            names = [str(each["loc"][0]) if each["loc"] else "grpc_address" for each in error.errors()]
            wrong |= dict(zip(names, _sentences(error), strict=True))
            defaults |= {name: Settings.model_fields[name].default for name in names}


def _sentences(error: ValidationError) -> list[str]:
    return [
        ": ".join([*(f"PAYMENTS_{part}".upper() for part in e["loc"][:1]), e["msg"].removeprefix("Value error, ")])
        for e in error.errors(include_input=False, include_url=False)
    ]
