"""Plans the row of a new order from a checked request, and says who may have one made."""

from datetime import datetime
from typing import Any

from payments_service.checkout.checkout_request import ReturnPages
from payments_service.checkout.line_item_rules import checkout_mode
from payments_service.checkout.session_parameters import session_parameters
from payments_service.contract.pb.payments.v1.payments_pb2 import CreateCheckoutRequest
from payments_service.errors import CallerNotAllowedError
from payments_service.identifiers import new_id
from payments_service.orders.states import PaymentState
from payments_service.scope import Caller
from payments_service.stripe_gateway.metadata import purchase_type

METHOD = "payments.v1.Payments/CreateCheckout"


def require_sellable(request: CreateCheckoutRequest, caller: Caller) -> None:
    """Raise CallerNotAllowedError, naming what is missing; what the request does not name is no matter of scope."""
    organization_id, kind = request.organization_id, purchase_type(request.purchase)
    if organization_id and not caller.scope.holds_organization(organization_id):
        raise _not_allowed(caller, f"organization {organization_id!r}")
    if kind and not caller.scope.holds_type(kind):
        raise _not_allowed(caller, f"purchase type {kind!r}")


def new_order(request: CreateCheckoutRequest, caller: Caller, pages: ReturnPages, now: datetime) -> dict[str, Any]:
    """Give the columns; what the buyer will pay is told by Stripe alone, which knows prices, taxes and discounts."""
    order_id = new_id("ord")
    return {
        "order_id": order_id,
        "organization_id": request.organization_id,
        "user_id": request.user_id,
        "created_by": caller.name,
        "request_id": request.request_id.lower(),
        "purchase_type": purchase_type(request.purchase),
        "purchase": request.purchase.SerializeToString(),
        "mode": checkout_mode(request),
        "stripe_parameters": session_parameters(request, order_id, pages, now),
        "facts": {},
        "payment_state": PaymentState.CREATING,
        "create_time": now,
        "update_time": now,
    }


def _not_allowed(caller: Caller, missing: str) -> CallerNotAllowedError:
    return CallerNotAllowedError(
        f"The caller {caller.name!r} may not sell this: the callers file does not give it {missing}.",
        method=METHOD,
        missing=missing,
    )
