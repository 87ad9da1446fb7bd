"""What each method asks of its caller, in one table; a method without a line stops the start.

Rows are limited by the caller's scope where they are read; here stands what a caller may do at all, and what it may
name in a request. Methods are looked up by their whole name: a prefix rule could be walked around.
"""

from collections.abc import Iterable, Mapping
from enum import Enum

from payments_service.errors import CallerNotAllowedError, ConfigurationError
from payments_service.scope import Caller


class Policy(Enum):
    """Who may call a method."""

    EVERYONE = "no caller is asked for: probes and tools that look around"
    CALLER = "any caller, limited to its organizations and purchase types"
    OPERATOR = 'role "operator" with all organizations, limited to its purchase types'
    INBOX_OPERATOR = 'role "operator" with everything: Stripe\'s own events are of all organizations and types'


METHOD_POLICIES: Mapping[str, Policy] = {
    "payments.v1.Payments/CreateCheckout": Policy.CALLER,
    "payments.v1.Payments/ExpireCheckout": Policy.CALLER,
    "payments.v1.Payments/GetOrder": Policy.CALLER,
    "payments.v1.Payments/ListOrders": Policy.CALLER,
    "payments.v1.Payments/WaitOrder": Policy.CALLER,
    "payments.v1.Payments/RefundOrder": Policy.CALLER,
    "payments.v1.Payments/CancelSubscription": Policy.CALLER,
    "payments.v1.Payments/CompleteFulfillment": Policy.CALLER,
    "payments.v1.Payments/FailFulfillment": Policy.CALLER,
    "payments.v1.Payments/ListFulfillments": Policy.CALLER,
    "payments.v1.Payments/ListEntitlements": Policy.CALLER,
    "payments.v1.Payments/StreamFulfillments": Policy.CALLER,
    "payments.v1.Payments/ConsumeFulfillments": Policy.CALLER,
    "payments.v1.Operations/GetStatus": Policy.OPERATOR,
    "payments.v1.Operations/ListStripeEvents": Policy.INBOX_OPERATOR,
    "payments.v1.Operations/GetStripeEvent": Policy.INBOX_OPERATOR,
    "payments.v1.Operations/ReplayStripeEvents": Policy.INBOX_OPERATOR,
    "payments.v1.Operations/Reconcile": Policy.OPERATOR,
    "payments.v1.Operations/RetryFulfillment": Policy.OPERATOR,
    "payments.v1.Operations/ExplainOrder": Policy.OPERATOR,
    "payments.v1.Operations/CreateSubscriber": Policy.CALLER,
    "payments.v1.Operations/ListSubscribers": Policy.CALLER,
    "payments.v1.Operations/DeleteSubscriber": Policy.CALLER,
    "payments.v1.Operations/SeekSubscriber": Policy.CALLER,
    "payments.v1.Operations/ListParkedEvents": Policy.CALLER,
    "payments.v1.Operations/ReplayParkedEvents": Policy.CALLER,
    "grpc.health.v1.Health/Check": Policy.EVERYONE,
    "grpc.health.v1.Health/List": Policy.EVERYONE,
    "grpc.health.v1.Health/Watch": Policy.EVERYONE,
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Policy.EVERYONE,
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Policy.EVERYONE,
}


def require_policies(methods: Iterable[str], policies: Mapping[str, Policy] = METHOD_POLICIES) -> None:
    """Raise ConfigurationError unless each served method has a policy."""
    without = sorted(set(methods) - policies.keys())
    if without:
        raise ConfigurationError(
            f"No policy says who may call {', '.join(without)}: add a line to rpc/method_policy.py."
        )


def require_allowed(caller: Caller, policy: Policy) -> None:
    """Raise CallerNotAllowedError, naming what is missing, unless the caller may call a method of this policy."""
    if policy in {Policy.EVERYONE, Policy.CALLER}:
        return
    if not caller.operator:
        raise _not_allowed(caller, 'role = "operator"')
    if caller.scope.organizations is not None:
        raise _not_allowed(caller, 'organizations = ["*"]')
    if policy is Policy.INBOX_OPERATOR and caller.scope.purchase_types is not None:
        raise _not_allowed(caller, 'purchase_types = ["*"]')


def require_named(caller: Caller, *, organization_id: str, purchase_type: str) -> None:
    """Raise CallerNotAllowedError where a request names what is not the caller's; naming nothing is no harm."""
    if organization_id and not caller.scope.holds_organization(organization_id):
        raise _not_allowed(caller, f"organization {organization_id!r}")
    if purchase_type and not caller.scope.holds_type(purchase_type):
        raise _not_allowed(caller, f"purchase type {purchase_type!r}")


def _not_allowed(caller: Caller, missing: str) -> CallerNotAllowedError:
    return CallerNotAllowedError(
        f"The caller {caller.name!r} may not do this: the callers file does not give it {missing}.", missing=missing
    )
