"""Commands about orders and what is owed for them: what each takes; order_calls.py and its neighbours do it.

What a command needs is imported when it runs: `payments --help` waits for none of it.
"""

from datetime import datetime
from typing import Annotated

import typer

from payments_service.cli.option_types import (
    FulfillmentId,
    FulfillmentWord,
    Generation,
    IntervalWord,
    JsonFlag,
    KindWord,
    Limit,
    OrderKey,
    OrganizationFilter,
    PageToken,
    PaymentWord,
    UserFilter,
)


def checkout(  # noqa: PLR0913, PLR0917  # one option each
    organization: Annotated[str, typer.Option("--organization", "-o", help="Who sells.")] = "org_demo",
    user: Annotated[str, typer.Option("--user", "-u", help="Who buys.")] = "user_demo",
    kind: Annotated[KindWord, typer.Option(help="What kind of purchase it is.")] = KindWord.COURSE,
    item_id: Annotated[str, typer.Option("--id", help="The course, SKU, service or custom id.")] = "",
    cohort: Annotated[str, typer.Option(help="Of a course.")] = "",
    seats: Annotated[int, typer.Option(min=0, help="Of a digital good.")] = 0,
    at: Annotated[datetime | None, typer.Option(help="When a service takes place.")] = None,
    type_: Annotated[str, typer.Option("--type", help="The owning service's name for a custom purchase.")] = "",
    attribute: Annotated[list[str] | None, typer.Option(help="NAME=VALUE of a custom purchase; several.")] = None,
    amount: Annotated[str, typer.Option(help="The price, such as 10.50; 49 where none is given.")] = "",
    currency: Annotated[str, typer.Option(help="ISO 4217.")] = "EUR",
    name: Annotated[str, typer.Option(help="What the buyer reads.")] = "",
    price: Annotated[str, typer.Option(help="A price in Stripe (price_...), in place of amount and name.")] = "",
    quantity: Annotated[int, typer.Option(min=1)] = 1,
    every: Annotated[IntervalWord | None, typer.Option(help="Makes it a subscription.")] = None,
    success_url: Annotated[str, typer.Option(help="Where the buyer lands; else the service's own page.")] = "",
    cancel_url: Annotated[str, typer.Option(help="Where the buyer lands who goes back.")] = "",
    email: Annotated[str, typer.Option(help="The buyer's.")] = "",
    customer: Annotated[str, typer.Option(help="The buyer in Stripe (cus_...).")] = "",
    expires_in: Annotated[int | None, typer.Option(metavar="MINUTES", help="30 to 1440.")] = None,
    promotion_codes: Annotated[bool, typer.Option("--promotion-codes", help="Let the buyer enter one.")] = False,
    automatic_tax: Annotated[bool, typer.Option("--automatic-tax", help="Let Stripe add taxes.")] = False,
    request_id: Annotated[str, typer.Option(help="A UUID; the same one gives the same order.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Create a checkout and print where to pay; with no option, a course for a demo organization."""
    from payments_service.cli.checkout_form import CheckoutForm
    from payments_service.cli.order_calls import create_checkout

    form = CheckoutForm(
        organization=organization,
        user=user,
        kind=kind,
        item_id=item_id,
        cohort=cohort,
        seats=seats,
        at=at,
        type=type_,
        attributes=attribute or (),
        amount=amount,
        currency=currency,
        name=name,
        price=price,
        quantity=quantity,
        every=every,
        success_url=success_url,
        cancel_url=cancel_url,
        email=email,
        customer=customer,
        expires_in=expires_in,
        promotion_codes=promotion_codes,
        automatic_tax=automatic_tax,
        request_id=request_id,
    )
    create_checkout(form, as_json=as_json)


def orders(  # noqa: PLR0913, PLR0917  # one option each
    organization: OrganizationFilter = "",
    user: UserFilter = "",
    purchase_type: Annotated[str, typer.Option("--type", help="course, digital_good, service or a custom type.")] = "",
    payment: Annotated[list[PaymentWord] | None, typer.Option(help="In this payment state; several.")] = None,
    fulfillment: Annotated[list[FulfillmentWord] | None, typer.Option(help="In this state; several.")] = None,
    limit: Limit = 20,
    page_token: PageToken = "",
    as_json: JsonFlag = False,
) -> None:
    """List orders, newest first."""
    from payments_service.cli.order_calls import OrderQuery, list_orders

    query = OrderQuery(organization, user, purchase_type, payment or (), fulfillment or (), limit, page_token)
    list_orders(query, as_json=as_json)


def order(
    key: OrderKey,
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask Stripe first where it is not settled.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show one order."""
    from payments_service.cli.order_calls import get_order

    get_order(key, refresh=refresh, as_json=as_json)


def explain(key: OrderKey, as_json: JsonFlag = False) -> None:
    """Tell an order's story: who did what to it, and when."""
    from payments_service.cli.order_calls import explain_order

    explain_order(key, as_json=as_json)


def expire(key: OrderKey, as_json: JsonFlag = False) -> None:
    """Close a checkout that nobody has paid."""
    from payments_service.cli.order_calls import expire_checkout

    expire_checkout(key, as_json=as_json)


def entitlements(  # noqa: PLR0913, PLR0917  # one option each
    organization: OrganizationFilter = "",
    user: UserFilter = "",
    resource: Annotated[str, typer.Option(help="Such as courses/intro-to-sql.")] = "",
    active: Annotated[bool, typer.Option("--active", help="Only what holds now.")] = False,
    limit: Limit = 20,
    page_token: PageToken = "",
    as_json: JsonFlag = False,
) -> None:
    """List what purchases granted to whom."""
    from payments_service.cli.fulfillment_calls import EntitlementQuery, list_entitlements

    list_entitlements(EntitlementQuery(organization, user, resource, active, limit, page_token), as_json=as_json)


def complete(
    fulfillment_id: FulfillmentId,
    result: Annotated[list[str] | None, typer.Option(help="NAME=VALUE that the purchase produced; several.")] = None,
    generation: Generation = 0,
    as_json: JsonFlag = False,
) -> None:
    """Report, as the owner of a handed-out fulfillment, that it is done."""
    from payments_service.cli.fulfillment_calls import complete_fulfillment

    complete_fulfillment(fulfillment_id, result or (), generation, as_json=as_json)


def fail(
    fulfillment_id: FulfillmentId,
    error: Annotated[str, typer.Option(help="What went wrong, for an operator.")],
    retry: Annotated[bool, typer.Option("--retry", help="Hand it out again later.")] = False,
    generation: Generation = 0,
    as_json: JsonFlag = False,
) -> None:
    """Report, as the owner of a handed-out fulfillment, that it cannot be done."""
    from payments_service.cli.fulfillment_calls import fail_fulfillment

    fail_fulfillment(fulfillment_id, error, generation, retry=retry, as_json=as_json)


def retry(fulfillment_id: FulfillmentId, as_json: JsonFlag = False) -> None:
    """Try a failed fulfillment again, with all its tries."""
    from payments_service.cli.fulfillment_calls import retry_fulfillment

    retry_fulfillment(fulfillment_id, as_json=as_json)
