"""The checkout session as Stripe writes it; built once, then changed by payments and expiry only."""

from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.session_rules import DAY, kept_metadata

KIND = "checkout.session"

# What a session of this kind holds where the request says nothing.
_EMPTY = (
    "allow_promotion_codes", "billing_address_collection", "client_secret", "collected_information", "consent",
    "consent_collection", "currency_conversion", "customer_account", "customer_details", "invoice", "locale",
    "origin_context", "payment_intent", "payment_link", "payment_method_collection", "permissions", "recovered_from",
    "setup_intent", "shipping_address_collection", "shipping_cost", "submit_type", "subscription", "wallet_options",
    "after_expiration", "payment_method_configuration_details", "integration_identifier", "cancel_url",
    "client_reference_id", "customer_email", "saved_payment_method_options", "success_url", "url",
)  # fmt: skip
_ECHOED = (
    "allow_promotion_codes", "billing_address_collection", "locale", "submit_type", "integration_identifier",
    "origin_context", "payment_method_collection", "cancel_url", "client_reference_id", "customer_email", "success_url",
)  # fmt: skip


def make_session(parameters: JsonObject, items: list[JsonObject], customer: str | None, now: int) -> JsonObject:
    """Build an open session; its payment intent or subscription comes with the payment, as in Stripe."""
    total, mode = sum(item["amount_total"] for item in items), parameters["mode"]
    return {
        "id": new_object_id("cs"),
        "object": KIND,
        **dict.fromkeys(_EMPTY),
        **{name: parameters[name] for name in _ECHOED if name in parameters},
        **_fixed(),
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": _automatic_tax((parameters.get("automatic_tax") or {}).get("enabled", False)),
        "created": now,
        "currency": items[0]["currency"],
        "customer": customer,
        "customer_creation": _customer_creation(parameters),
        "expires_at": parameters.get("expires_at", now + DAY),
        "invoice_creation": _invoice_creation() if mode == "payment" else None,
        "metadata": kept_metadata(parameters),
        "mode": mode,
        "payment_method_types": _payment_method_types(parameters),
        "payment_status": "unpaid" if total else "no_payment_required",
        "status": "open",
    }


def _fixed() -> JsonObject:
    """Give what is the same in every session of the sandbox."""
    return {
        "adaptive_pricing": {"enabled": False},
        "custom_fields": [],
        "custom_text": dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")),
        "discounts": [],
        "livemode": False,
        "managed_payments": {"enabled": False},
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
    }


def shown_session(session: JsonObject, base_url: str) -> JsonObject:
    """Give the session as it is seen now: its page has an address only while it is open."""
    url = f"{base_url}/pay/{session['id']}" if session["status"] == "open" else None
    return {**session, "url": url}


def customer_details(email: str) -> JsonObject:
    """Write what the buyer told on the page; the sandbox's buyer has a reserved address."""
    address = {"city": None, "country": "US", "line1": None, "line2": None, "postal_code": "94107", "state": None}
    return {
        "address": address,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": "Sandbox Buyer",
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def _automatic_tax(enabled: bool) -> JsonObject:
    """Tell of the tax, which in the sandbox is nought everywhere."""
    if not enabled:
        return {"enabled": False, "liability": None, "provider": None, "status": None}
    return {"enabled": True, "liability": {"type": "self"}, "provider": "stripe", "status": "complete"}


def _customer_creation(parameters: JsonObject) -> str | None:
    if parameters["mode"] == "subscription":
        return None if "customer" in parameters else "always"
    return None if "customer" in parameters else str(parameters.get("customer_creation", "if_required"))


def _payment_method_types(parameters: JsonObject) -> list[str]:
    allowed = parameters.get("allowed_payment_method_types") or ["card", "sepa_debit"]
    excluded = parameters.get("excluded_payment_method_types") or []
    return [name for name in allowed if name not in excluded] or ["card"]


def _invoice_creation() -> JsonObject:
    data: JsonObject = {
        "account_tax_ids": None,
        "custom_fields": None,
        "description": None,
        "footer": None,
        "issuer": None,
        "metadata": {},
        "rendering_options": None,
    }
    return {"enabled": False, "invoice_data": data}
