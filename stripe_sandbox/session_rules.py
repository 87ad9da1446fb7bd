"""Stripe's limits on a checkout session, as far as a service can run into them; it changes nothing."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from stripe_sandbox.api_error import StripeApiError, exclusive_parameters, invalid_parameter, missing_parameter
from stripe_sandbox.currencies import LARGEST_AMOUNT, format_amount, minimum_amount
from stripe_sandbox.json_types import JsonObject

DAY = 24 * 3600
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_SOONEST_EXPIRY = 30 * 60
_MOST_ITEMS = {"payment": 100, "subscription": 40}
_MODE_OF_DATA = {"payment_intent_data": "payment", "invoice_creation": "payment", "subscription_data": "subscription"}


def check_session(parameters: JsonObject, now: int) -> None:
    """Refuse what Stripe would, as far as it can be told from the parameters alone."""
    mode = parameters.get("mode")
    if mode is None:
        raise missing_parameter("mode")
    if mode == "setup":
        raise invalid_parameter("mode", "The sandbox does not play setup mode: use payment or subscription.")
    _check_urls(parameters)
    _check_mode_data(parameters, mode)
    _check_expiry(parameters.get("expires_at"), now)
    _check_customer(parameters, mode)
    check_length(parameters, "client_reference_id", 200)
    for name in ("metadata", "payment_intent_data", "subscription_data"):
        nested = parameters.get(name) or {}
        values = nested if name == "metadata" else nested.get("metadata") or {}
        check_metadata(values, name if name == "metadata" else f"{name}[metadata]")
    if not parameters.get("line_items"):
        raise missing_parameter("line_items")
    if len(parameters["line_items"]) > _MOST_ITEMS[mode]:
        raise invalid_parameter(
            "line_items", f"line_items can contain at most {_MOST_ITEMS[mode]} items in {mode} mode."
        )


def check_metadata(metadata: Mapping[str, str], param: str) -> None:
    """Refuse what is over Stripe's limits: 50 keys of 40 characters without brackets, values of 500."""
    if len(metadata) > 50:
        raise invalid_parameter(param, f"Metadata can have up to 50 keys; you provided {len(metadata)}.")
    for key, value in metadata.items():
        if len(key) > 40:
            raise invalid_parameter(
                param,
                f"Metadata keys must be at most 40 characters long, but a key with {len(key)} characters was "
                f"provided: {key}",
            )
        if len(value) > 500:
            raise invalid_parameter(
                f"{param}[{key}]",
                f"Metadata values can have up to 500 characters, but you passed in a value that is {len(value)} "
                f"characters. Invalid value: {value[:40]}...",
            )


def kept_metadata(parameters: JsonObject) -> JsonObject:
    """Give the metadata of an object that is made: an empty value keeps no key."""
    return {key: value for key, value in (parameters.get("metadata") or {}).items() if value}


def merged_metadata(kept: JsonObject, given: JsonObject | str | None) -> JsonObject:
    """Change metadata as Stripe does: an empty value takes a key away, an empty text all of them."""
    if given is None:
        return kept
    merged = {**kept, **given} if isinstance(given, dict) else {}
    metadata = {key: value for key, value in merged.items() if value}
    check_metadata(metadata, "metadata")
    return metadata


def check_length(parameters: JsonObject, name: str, longest: int) -> None:
    """Refuse a text that is too long."""
    if len(parameters.get(name) or "") > longest:
        start = parameters[name][:40]
        raise invalid_parameter(name, f"Invalid string: {start}...; must be at most {longest} characters")


def check_total(items: list[JsonObject], mode: str) -> None:
    """Refuse mixed currencies, and totals below what Stripe charges."""
    currencies = sorted({item["currency"] for item in items})
    if len(currencies) > 1:
        raise invalid_parameter(
            "line_items", f"All line items must have the same currency. You have {' and '.join(currencies)}."
        )
    total, currency = sum(item["amount_total"] for item in items), currencies[0]
    if total > LARGEST_AMOUNT:
        message = "The Checkout Session's total amount must be no more than 99,999,999 minor units"
        raise StripeApiError(message, code="amount_too_large")
    if mode == "payment" and 0 < total < minimum_amount(currency):
        least = format_amount(minimum_amount(currency), currency)
        raise StripeApiError(
            f"The Checkout Session's total amount due must add up to at least {least} {currency}",
            code="amount_too_small",
        )


def _check_urls(parameters: JsonObject) -> None:
    if parameters.get("ui_mode", "hosted_page") != "hosted_page":
        raise invalid_parameter("ui_mode", "The sandbox plays Stripe's hosted page only: ui_mode must be hosted_page.")
    if "success_url" not in parameters:
        raise missing_parameter("success_url")
    if "return_url" in parameters:
        raise invalid_parameter("return_url", "`return_url` can only be set when `ui_mode` is not `hosted_page`.")
    for name in ("success_url", "cancel_url"):
        if name in parameters and not _is_url(parameters[name]):
            raise StripeApiError("Not a valid URL", code="url_invalid", param=name)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and len(text) <= 5000 and " " not in text


def _check_mode_data(parameters: JsonObject, mode: str) -> None:
    for name, needed in _MODE_OF_DATA.items():
        if name in parameters and mode != needed:
            raise invalid_parameter(name, f"You can not pass `{name}` in `{mode}` mode.")


def _check_expiry(expires_at: int | None, now: int) -> None:
    if expires_at is None:
        return
    # A few seconds of grace, as the client's clock is not ours.
    if not now + _SOONEST_EXPIRY - 5 <= expires_at <= now + DAY + 5:
        raise invalid_parameter(
            "expires_at",
            "The `expires_at` timestamp must be at least 30 minutes, and no more than 24 hours, from Checkout Session "
            "creation.",
        )


def _check_customer(parameters: JsonObject, mode: str) -> None:
    if "customer" in parameters and "customer_email" in parameters:
        raise exclusive_parameters("customer_email", ["customer", "customer_email"])
    if "customer_email" in parameters and not _EMAIL.fullmatch(parameters["customer_email"]):
        raise invalid_parameter(
            "customer_email", f"Invalid email address: {parameters['customer_email']}", "email_invalid"
        )
    if mode == "subscription" and "customer_creation" in parameters:
        raise invalid_parameter("customer_creation", "`customer_creation` can only be used in `payment` mode.")
