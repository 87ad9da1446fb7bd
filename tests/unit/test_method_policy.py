"""Every method has a policy, found by its whole name, and a method without one stops the start."""

import pytest

from payments_service.errors import CallerNotAllowedError, ConfigurationError
from payments_service.rpc.call_interceptor import CallInterceptor
from payments_service.rpc.callers import AnyCaller
from payments_service.rpc.grpc_server import HEALTH, OPERATIONS, PAYMENTS
from payments_service.rpc.method_policy import METHOD_POLICIES, Policy, require_allowed, require_named, require_policies
from payments_service.rpc.method_table import method_names, service_handler
from payments_service.scope import EVERYTHING, Caller, Scope

METHODS = [*method_names(PAYMENTS), *method_names(OPERATIONS), *method_names(HEALTH)]
CALLER = Caller("shop", operator=False, scope=EVERYTHING)
NARROW = Caller("console", operator=True, scope=Scope(frozenset({"org_1"}), None))
TYPED = Caller("console", operator=True, scope=Scope(None, frozenset({"course"})))
OPERATOR = Caller("console", operator=True, scope=EVERYTHING)


def test_every_method_has_a_policy_and_every_policy_a_method() -> None:
    require_policies(METHODS)

    assert {name for name in METHOD_POLICIES if not name.startswith("grpc.reflection.")} == set(METHODS)


def test_a_method_without_a_policy_stops_the_start() -> None:
    policies = {name: policy for name, policy in METHOD_POLICIES.items() if not name.endswith("/GetOrder")}

    with pytest.raises(ConfigurationError, match=r"payments\.v1.Payments/GetOrder"):
        require_policies(METHODS, policies)


def test_a_method_that_nobody_serves_stops_the_start() -> None:
    with pytest.raises(ConfigurationError, match=r"Nothing serves payments\.v1\.Payments/CreateCheckout"):
        service_handler(PAYMENTS, object(), CallInterceptor(AnyCaller(), 1.0))


def test_nothing_of_the_two_services_is_open_to_everyone() -> None:
    ours = {name: policy for name, policy in METHOD_POLICIES.items() if name.startswith("payments.")}

    assert Policy.EVERYONE not in ours.values()
    for_callers = {name for name, policy in ours.items() if policy is Policy.CALLER}
    owned = {name for name in method_names(OPERATIONS) if "Subscriber" in name or "Parked" in name}
    assert for_callers == set(method_names(PAYMENTS)) | owned


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        (Policy.EVERYONE, [CALLER, NARROW, TYPED, OPERATOR]),
        (Policy.CALLER, [CALLER, NARROW, TYPED, OPERATOR]),
        (Policy.OPERATOR, [TYPED, OPERATOR]),
        (Policy.INBOX_OPERATOR, [OPERATOR]),
    ],
)
def test_a_policy_lets_in_whom_it_names(policy: Policy, allowed: list[Caller]) -> None:
    for caller in (CALLER, NARROW, TYPED, OPERATOR):
        if caller in allowed:
            require_allowed(caller, policy)
        else:
            with pytest.raises(CallerNotAllowedError):
                require_allowed(caller, policy)


def test_a_caller_names_its_own_organizations_and_types_or_none() -> None:
    caller = Caller("courses", operator=False, scope=Scope(frozenset({"org_1"}), frozenset({"course"})))
    require_named(caller, organization_id="org_1", purchase_type="course")
    require_named(caller, organization_id="", purchase_type="")

    with pytest.raises(CallerNotAllowedError, match="organization 'org_2'"):
        require_named(caller, organization_id="org_2", purchase_type="course")
    with pytest.raises(CallerNotAllowedError, match="purchase type 'service'"):
        require_named(caller, organization_id="org_1", purchase_type="service")
