"""Which parameters the sandbox plays; Stripe takes more, and ignoring those silently would be a lie."""

from collections.abc import Mapping
from typing import TypeAlias

from stripe_sandbox.api_error import not_played
from stripe_sandbox.json_types import JsonObject

# A name alone stands for all below it; a mapping says what is played below it.
_Played: TypeAlias = "Mapping[str, _Played | None]"


def _names(text: str) -> dict[str, "_Played | None"]:
    return dict.fromkeys(text.split())


_PRICE_DATA: _Played = {
    **_names("currency product tax_behavior unit_amount unit_amount_decimal"),
    "product_data": _names("description images metadata name tax_code unit_label"),
    "recurring": _names("interval interval_count"),
}
SESSION_CREATE: _Played = {
    **_names(
        "cancel_url client_reference_id customer customer_creation customer_email expand expires_at metadata mode"
    ),
    **_names("success_url allow_promotion_codes allowed_payment_method_types excluded_payment_method_types"),
    **_names("billing_address_collection integration_identifier locale origin_context payment_method_collection"),
    **_names("submit_type ui_mode return_url"),
    "automatic_tax": _names("enabled"),
    "line_items": {**_names("metadata price quantity"), "price_data": _PRICE_DATA},
    "payment_intent_data": _names(
        "description metadata receipt_email setup_future_usage shipping statement_descriptor "
        "statement_descriptor_suffix transfer_group"
    ),
    "subscription_data": _names("description metadata"),
}
SESSION_UPDATE: _Played = _names("expand metadata")
_ADDRESS = _names("city country line1 line2 postal_code state")
PAYMENT_METHOD_CREATE: _Played = {
    **_names("expand type"),
    "billing_details": {**_names("email name phone"), "address": _ADDRESS},
    "card": _names("token"),
    "sepa_debit": _names("iban"),
}
PAYMENT_INTENT_CREATE: _Played = _names(
    "allowed_payment_method_types amount automatic_payment_methods confirm currency customer description expand "
    "metadata payment_method receipt_email return_url setup_future_usage shipping statement_descriptor "
    "statement_descriptor_suffix transfer_group"
)
CUSTOMER_UPDATE: _Played = {
    **_names("description email expand metadata name phone"), "invoice_settings": _names("default_payment_method"),
}  # fmt: skip
SUBSCRIPTION_CREATE: _Played = {
    **_names("customer default_payment_method description expand metadata"), "items": _names("price quantity"),
}  # fmt: skip
INVOICE_UPDATE: _Played = _names("description expand metadata")
INVOICE_ITEM_CREATE: _Played = _names("amount currency customer description expand metadata")
INVOICE_CREATE: _Played = _names(
    "auto_advance collection_method currency customer description expand metadata pending_invoice_items_behavior"
)
REFUND_CREATE: _Played = _names("amount charge expand metadata payment_intent reason")
DISPUTE_UPDATE: _Played = _names("expand metadata")
_CANCELLATION = _names("comment feedback")
SUBSCRIPTION_UPDATE: _Played = {
    **_names("cancel_at_period_end default_payment_method expand metadata"),
    "cancellation_details": _CANCELLATION,
    "pause_collection": _names("behavior resumes_at"),
}
SUBSCRIPTION_CANCEL: _Played = {**_names("expand"), "cancellation_details": _CANCELLATION}
_PAGING = "created ending_before expand limit starting_after"
SUBSCRIPTION_LIST: _Played = _names(f"customer status {_PAGING}")
INVOICE_LIST: _Played = _names(f"customer status subscription {_PAGING}")
INVOICE_PAYMENT_LIST: _Played = {**_names(f"invoice status {_PAGING}"), "payment": _names("payment_intent type")}


def check_played(parameters: JsonObject, played: _Played, place: str = "") -> None:
    """Refuse the first parameter that would have no effect."""
    for name, value in parameters.items():
        path = f"{place}[{name}]" if place else name
        if name not in played:
            raise not_played(path)
        below = played[name]
        if below is None:
            continue
        for index, part in enumerate(value if isinstance(value, list) else [value]):
            # An empty text in the place of an object takes it away.
            if isinstance(part, dict):
                check_played(part, below, f"{path}[{index}]" if isinstance(value, list) else path)
