"""Lists the effective settings by the names of their variables; a secret shows what kind it is and no more."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr
from rich.text import Text

from payments_service.cli.terminal import Column, output, print_table
from payments_service.observability.logs import mask_secrets
from payments_service.settings import Settings, read_settings

_KINDS = ("sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_")
_DERIVED: dict[str, Callable[[Settings], str]] = {
    "target": lambda settings: settings.grpc_address,
    "public_url": lambda settings: f"http://{settings.bridge_address}",
    "sandbox_webhook_url": lambda settings: f"http://{settings.bridge_address}/webhooks/stripe",
}
"""What stands for an empty value."""


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """One setting as it may be shown."""

    variable: str
    value: str
    is_set: bool


def list_settings(*, as_json: bool) -> None:
    """Print every setting; raises ConfigurationError where one is wrong."""
    shown = [*shown_settings(read_settings())]
    if as_json:
        values = {each.variable: {"value": each.value, "source": _source(each)} for each in shown}
        sys.stdout.write(json.dumps(values, indent=2) + "\n")
        return
    columns = (Column("Variable", fixed=True), Column("Value"), Column("Source"))
    print_table(output(), columns, ([each.variable, each.value, _painted(each)] for each in shown))


def shown_settings(settings: Settings) -> Iterator[ShownSetting]:
    """Give what may be shown of the settings."""
    for name in type(settings).model_fields:
        value = _text(getattr(settings, name))
        if not value and name in _DERIVED:
            value = _DERIVED[name](settings)
        yield ShownSetting(f"PAYMENTS_{name.upper()}", value, name in settings.model_fields_set)


def _text(value: Any) -> str:  # noqa: ANN401  # whatever a setting is
    match value:
        case None:
            return ""
        case SecretStr():
            return _masked(value.get_secret_value())
        case bool():
            return str(int(value))
        case float():
            return f"{value:g}"
        case tuple():
            return ", ".join(_text(each) for each in value)
        case _:
            return mask_secrets(str(value))


def _masked(secret: str) -> str:
    if not secret:
        return ""
    return next((kind for kind in _KINDS if secret.startswith(kind)), "") + "***"


def _source(each: ShownSetting) -> str:
    return "set" if each.is_set else "default"


def _painted(each: ShownSetting) -> Text:
    return Text(_source(each), style="green" if each.is_set else "dim")
