"""Stripe's own parameter types, made strict: the only place in the sandbox that knows the `stripe` package.

Each TypedDict of the SDK is rebuilt so that pydantic refuses unknown names and enum values that the SDK does not
list, and reads the strings of a form. Nothing of Stripe's client is used.
"""

import re
import types
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

import stripe
from pydantic import BeforeValidator, ConfigDict, TypeAdapter
from pydantic_core import PydanticCustomError
from stripe._request_options import RequestOptions
from stripe._stripe_object import UntypedStripeObject
from stripe.params import checkout as checkout_params
from typing_extensions import TypedDict, is_typeddict

from stripe_sandbox.json_types import JsonObject

_LONGEST_TEXT, _LONGEST_DESCRIPTION = 5000, 40_000
_INTEGER = re.compile(r"-?\d{1,18}")
# Names that the SDK imports for type checkers only.
_TYPE_CHECKING_NAMES = {"UntypedStripeObject": Mapping, "Decimal": Decimal, "StripeContext": str, "Mapping": Mapping}


class _PaymentPageRetrieveParams(TypedDict):
    """What the command line asks of a payment page; the SDK has no types of these."""


class _PaymentPageConfirmParams(TypedDict):
    payment_method: str
    expected_amount: NotRequired[int]


_PARAMETERS: dict[str, Any] = {
    "session_create": checkout_params.SessionCreateParams,
    "session_list": checkout_params.SessionListParams,
    "session_update": checkout_params.SessionUpdateParams,
    "session_retrieve": checkout_params.SessionRetrieveParams,
    "session_expire": checkout_params.SessionExpireParams,
    "session_line_items": checkout_params.SessionLineItemListParams,
    "payment_intent_retrieve": stripe.params.PaymentIntentRetrieveParams,
    "payment_intent_list": stripe.params.PaymentIntentListParams,
    "charge_retrieve": stripe.params.ChargeRetrieveParams,
    "customer_create": stripe.params.CustomerCreateParams,
    "customer_retrieve": stripe.params.CustomerRetrieveParams,
    "product_create": stripe.params.ProductCreateParams,
    "product_retrieve": stripe.params.ProductRetrieveParams,
    "price_create": stripe.params.PriceCreateParams,
    "price_retrieve": stripe.params.PriceRetrieveParams,
    "subscription_list": stripe.params.SubscriptionListParams,
    "subscription_retrieve": stripe.params.SubscriptionRetrieveParams,
    "subscription_update": stripe.params.SubscriptionUpdateParams,
    "subscription_cancel": stripe.params.SubscriptionCancelParams,
    "invoice_list": stripe.params.InvoiceListParams,
    "invoice_retrieve": stripe.params.InvoiceRetrieveParams,
    "invoice_payment_list": stripe.params.InvoicePaymentListParams,
    "invoice_payment_retrieve": stripe.params.InvoicePaymentRetrieveParams,
    "refund_create": stripe.params.RefundCreateParams,
    "refund_list": stripe.params.RefundListParams,
    "refund_retrieve": stripe.params.RefundRetrieveParams,
    "refund_update": stripe.params.RefundUpdateParams,
    "dispute_list": stripe.params.DisputeListParams,
    "dispute_retrieve": stripe.params.DisputeRetrieveParams,
    "dispute_update": stripe.params.DisputeUpdateParams,
    "dispute_close": stripe.params.DisputeCloseParams,
    "payment_method_create": stripe.params.PaymentMethodCreateParams,
    "payment_method_retrieve": stripe.params.PaymentMethodRetrieveParams,
    "payment_method_attach": stripe.params.PaymentMethodAttachParams,
    "payment_method_detach": stripe.params.PaymentMethodDetachParams,
    "payment_page_retrieve": _PaymentPageRetrieveParams,
    "payment_page_confirm": _PaymentPageConfirmParams,
    "payment_intent_create": stripe.params.PaymentIntentCreateParams,
    "customer_update": stripe.params.CustomerUpdateParams,
    "subscription_create": stripe.params.SubscriptionCreateParams,
    "invoice_create": stripe.params.InvoiceCreateParams,
    "invoice_update": stripe.params.InvoiceUpdateParams,
    "invoice_item_create": stripe.params.InvoiceItemCreateParams,
    "invoice_finalize": stripe.params.InvoiceFinalizeInvoiceParams,
    "invoice_pay": stripe.params.InvoicePayParams,
    "invoice_void": stripe.params.InvoiceVoidInvoiceParams,
    "invoice_mark_uncollectible": stripe.params.InvoiceMarkUncollectibleParams,
    "charge_list": stripe.params.ChargeListParams,
    "event_list": stripe.params.EventListParams,
    "event_retrieve": stripe.params.EventRetrieveParams,
    "account_retrieve_current": stripe.params.AccountRetrieveCurrentParams,
    "webhook_endpoint_create": stripe.params.WebhookEndpointCreateParams,
    "webhook_endpoint_list": stripe.params.WebhookEndpointListParams,
    "webhook_endpoint_retrieve": stripe.params.WebhookEndpointRetrieveParams,
    "webhook_endpoint_delete": stripe.params.WebhookEndpointDeleteParams,
}


@cache
def parameter_adapter(operation: str) -> TypeAdapter[JsonObject]:
    """Give the check of one operation's parameters; built once a process (a quarter of a second for the largest)."""
    return TypeAdapter(_strict_dict(_PARAMETERS[operation]))


@cache
def _strict_dict(source: Any) -> Any:  # noqa: ANN401 - a type made at run time
    hints = get_type_hints(source, globalns=_names_of(source), include_extras=True)
    if issubclass(source, dict) and source.__name__.endswith("Params"):
        hints = {name: hint for name, hint in hints.items() if name not in RequestOptions.__annotations__}
    required = source.__required_keys__
    fields = {name: _field(name, hint, name in required) for name, hint in hints.items()}
    make_typed_dict: Any = TypedDict
    rebuilt = make_typed_dict(source.__name__, fields)
    rebuilt.__pydantic_config__ = ConfigDict(extra="forbid", defer_build=False)
    return rebuilt


def _names_of(source: Any) -> dict[str, Any]:  # noqa: ANN401
    module = __import__(source.__module__, fromlist=["_"])
    return {**vars(module), **_TYPE_CHECKING_NAMES}


def _field(name: str, hint: Any, required: bool) -> Any:  # noqa: ANN401
    while get_origin(hint) in (NotRequired, Required):
        (hint,) = get_args(hint)
    strict = _LONG_TEXT if hint is str and name == "description" else _strict(hint)
    return Required[strict] if required else NotRequired[strict]


def _strict(hint: Any) -> Any:  # noqa: ANN401, PLR0911 - one line for each form a hint takes
    origin = get_origin(hint)
    if is_typeddict(hint):
        return _strict_dict(hint)
    if origin in (Union, types.UnionType):
        return _strict_union(get_args(hint))
    if origin is list:
        return Annotated[list[_strict(get_args(hint)[0])], BeforeValidator(_as_list)]  # type: ignore[misc]
    if origin is dict:
        kept = get_args(hint)[1]
        # Metadata may hold an empty value: it takes the key away.
        return dict[str, str if kept is str else _strict(kept)]  # type: ignore[misc]
    if hint is str:
        return _TEXT
    if hint is bool:
        return Annotated[bool, BeforeValidator(_as_bool)]
    if hint is int:
        return Annotated[int, BeforeValidator(_as_int)]
    return hint


def _strict_union(members: tuple[Any, ...]) -> Any:  # noqa: ANN401
    closed = any(get_origin(member) is Literal and get_args(member) != ("",) for member in members)
    kept = [m for m in members if not (closed and m is str) and get_origin(m) not in (Mapping, UntypedStripeObject)]
    return Union[tuple(_strict(member) for member in kept)]  # noqa: UP007 - a union of types known at run time


def _as_list(value: object) -> object:
    if isinstance(value, dict) and all(key.isdigit() for key in value):
        return [value[key] for key in sorted(value, key=int)]
    if isinstance(value, list):
        return value
    raise PydanticCustomError("stripe_array", "Invalid array")


def _as_bool(value: object) -> object:
    if value in ("true", "false"):
        return value == "true"
    raise PydanticCustomError("stripe_bool", "Invalid boolean: {value}", {"value": str(value)})


def _as_int(value: object) -> object:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    raise PydanticCustomError("stripe_int", "Invalid integer: {value}", {"value": str(value)})


def _as_text(longest: int) -> BeforeValidator:
    def check(value: object) -> object:
        if isinstance(value, str) and len(value) > longest:
            raise PydanticCustomError(
                "stripe_text",
                "Invalid string: {start}...; must be at most {longest} characters",
                {"start": value[:40], "longest": longest},
            )
        if value == "":
            raise PydanticCustomError("stripe_text", "Invalid string: it is empty")
        return value

    return BeforeValidator(check)


_TEXT = Annotated[str, _as_text(_LONGEST_TEXT)]
_LONG_TEXT = Annotated[str, _as_text(_LONGEST_DESCRIPTION)]


def sdk_api_version() -> str:
    """Tell which API version the installed SDK speaks; a test compares it with the sandbox's own."""
    return stripe.api_version
