"""A command calls what it says, shows what it is told, and is understood by people and by scripts."""

import asyncio
from pathlib import Path

import grpc
import pytest

from payments_service.contract.pb.payments.v1.operations_pb2 import (
    Change,
    ExplainOrderResponse,
    GetStatusResponse,
    ReplayStripeEventsResponse,
)
from payments_service.contract.pb.payments.v1.order_pb2 import FulfillmentState, Order, PaymentState
from payments_service.contract.pb.payments.v1.payments_pb2 import (
    CreateCheckoutRequest,
    CreateCheckoutResponse,
    GetOrderResponse,
    ListOrdersRequest,
    ListOrdersResponse,
)
from payments_service.contract.pb.payments.v1.purchase_pb2 import CoursePurchase, Money, Purchase

from .canned_service import CannedService, Context, refuse
from .command_line import CommandLine, hang_up

NOWHERE = "127.0.0.1:1"
SERVER_SIDE = (
    "sqlalchemy",
    "alembic",
    "stripe",
    "dramatiq",
    "starlette",
    "payments_service.assembly",
    "stripe_sandbox",
)


def order_number(number: int, user: str = "user_1") -> Order:
    return Order(
        order_id=f"ord_{number:032x}",
        organization_id="org_1",
        user_id=user,
        purchase=Purchase(course=CoursePurchase(course_id="intro-to-sql")),
        payment_state=PaymentState.PAYMENT_STATE_PAID,
        fulfillment_state=FulfillmentState.FULFILLMENT_STATE_AWAITING_OWNER,
        total=Money(currency_code="EUR", minor_units=1050),
    )


async def pages(request: ListOrdersRequest, context: Context) -> ListOrdersResponse:
    """Have 7 orders in pages of at most 3."""
    start = int(request.page_token or 0)
    end = min(start + min(request.page_size, 3), 7)
    orders = [order_number(number) for number in range(start, end)]
    return ListOrdersResponse(orders=orders, next_page_token=str(end) if end < 7 else "")


async def test_a_checkout_without_options_sells_a_course_to_a_demo_user(
    service: CannedService, payments: CommandLine
) -> None:
    url = "http://127.0.0.1:12111/pay/cs_test_" + "a" * 60
    service.answers("CreateCheckout", CreateCheckoutResponse(order=order_number(1), checkout_url=url))

    finished = await payments.run("checkout")

    assert finished.code == 0
    assert finished.out.splitlines()[-1] == url
    [request] = service.requests["CreateCheckout"]
    assert (request.organization_id, request.user_id) == ("org_demo", "user_demo")
    assert request.purchase.course.course_id == "intro-to-sql"
    assert request.line_items[0].price_data.unit_amount == Money(currency_code="EUR", minor_units=4900)


async def test_the_options_of_a_checkout_reach_the_service(service: CannedService, payments: CommandLine) -> None:
    service.answers("CreateCheckout", CreateCheckoutResponse(order=order_number(1)))

    await payments.run(
        *("checkout", "--kind", "custom", "--type", "voucher", "--id", "v-1", "--attribute", "to=a=b"),
        *("--amount", "1500", "--currency", "jpy", "--quantity", "2", "--organization", "org_9", "--user", "user_9"),
        *("--request-id", "6f0f7c38-8a3a-4b7c-9c50-6f2b1d0c4b11", "--expires-in", "60", "--email", "a@example.com"),
    )

    [request] = service.requests["CreateCheckout"]
    assert request.HasField("expire_time")
    request.ClearField("expire_time")
    expected = CreateCheckoutRequest(
        request_id="6f0f7c38-8a3a-4b7c-9c50-6f2b1d0c4b11",
        organization_id="org_9",
        user_id="user_9",
        customer_email="a@example.com",
    )
    expected.purchase.custom.type, expected.purchase.custom.custom_id = "voucher", "v-1"
    expected.purchase.custom.attributes["to"] = "a=b"
    item = expected.line_items.add(quantity=2)
    item.price_data.product_name = "Gift card"
    item.price_data.unit_amount.CopyFrom(Money(currency_code="JPY", minor_units=1500))
    assert request == expected


async def test_options_that_do_not_go_together_are_a_wrong_usage(payments: CommandLine) -> None:
    finished = await payments.run("checkout", "--seats", "3")

    assert (finished.code, finished.out) == (2, "")
    assert "goes with --kind digital-good only" in finished.err


async def test_json_is_the_contracts_own_with_every_field(service: CannedService, payments: CommandLine) -> None:
    service.answers("ListOrders", ListOrdersResponse(orders=[order_number(1)]))

    finished = await payments.run("orders", "--json")

    [order] = finished.json["orders"]
    assert finished.err == ""
    assert order["payment_state"] == "PAYMENT_STATE_PAID"
    assert order["total"] == {"currency_code": "EUR", "minor_units": "1050"}
    assert order["checkout_session_id"] == ""
    assert finished.json["next_page_token"] == ""


@pytest.mark.parametrize(("limit", "count", "token"), [("5", 5, "5"), ("100", 7, "")])
async def test_a_list_is_fetched_page_by_page_and_says_where_it_stopped(
    service: CannedService, payments: CommandLine, limit: str, count: int, token: str
) -> None:
    service.answers("ListOrders", pages)

    finished = await payments.run("orders", "--limit", limit, "--json")

    assert [order["order_id"][-1] for order in finished.json["orders"]] == [str(number) for number in range(count)]
    assert finished.json["next_page_token"] == token


async def test_filters_are_words(service: CannedService, payments: CommandLine) -> None:
    service.answers("ListOrders", ListOrdersResponse())

    finished = await payments.run(
        *("orders", "--payment", "awaiting-funds", "--payment", "paid", "--fulfillment", "failed"),
        *("--type", "digital-good", "--organization", "org_1", "--user", "user_1"),
    )

    assert finished.err == "There are no such orders.\n"
    [request] = service.requests["ListOrders"]
    assert request == ListOrdersRequest(
        organization_id="org_1",
        user_id="user_1",
        purchase_type="digital_good",
        payment_states=[PaymentState.PAYMENT_STATE_AWAITING_FUNDS, PaymentState.PAYMENT_STATE_PAID],
        fulfillment_states=[FulfillmentState.FULFILLMENT_STATE_FAILED],
        page_size=20,
    )


async def test_an_order_is_explained_by_its_checkout_session_too(service: CannedService, payments: CommandLine) -> None:
    service.answers("GetOrder", GetOrderResponse(order=order_number(5)))
    service.answers("ExplainOrder", ExplainOrderResponse(order=order_number(5)))

    finished = await payments.run("explain", "cs_test_1")

    assert order_number(5).order_id in finished.out
    assert service.requests["GetOrder"][0].checkout_session_id == "cs_test_1"
    assert service.requests["ExplainOrder"][0].order_id == order_number(5).order_id


async def test_a_replay_shows_before_and_after_in_words_over_all_pages(
    service: CannedService, payments: CommandLine
) -> None:
    change = Change(
        stripe_event_id="evt_1",
        order_id="ord_1",
        field="order.payment_state",
        before="PAYMENT_STATE_AWAITING_FUNDS",
        after="PAYMENT_STATE_PAID",
    )
    first = ReplayStripeEventsResponse(matched=2, changes=[change], next_page_token="more")
    service.answers("ReplayStripeEvents", first, ReplayStripeEventsResponse(matched=1))

    finished = await payments.run("replay", "--state", "failed", "--dry-run")

    assert "awaiting funds" in finished.out
    assert finished.out.splitlines()[-1] == "Dry run over 3 events: 1 field would change; nothing was changed."
    assert [request.page_token for request in service.requests["ReplayStripeEvents"]] == ["", "more"]
    assert all(request.dry_run for request in service.requests["ReplayStripeEvents"])


@pytest.mark.parametrize("arguments", [(), ("evt_1", "--state", "failed")])
async def test_a_replay_of_nothing_or_of_two_things_is_a_wrong_usage(
    payments: CommandLine, arguments: tuple[str, ...]
) -> None:
    finished = await payments.run("replay", *arguments)

    assert finished.code == 2
    assert "name events, or a --state" in finished.err


async def test_a_refusal_is_shown_with_its_reason(service: CannedService, payments: CommandLine) -> None:
    async def answer(_: object, context: Context) -> None:
        await refuse(context, grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND", "There is no order 'ord_1'.")

    service.answers("GetOrder", answer)

    finished = await payments.run("order", "ord_1", "--json")

    assert (finished.code, finished.out) == (1, "")
    assert finished.err == "Error: There is no order 'ord_1'. (ORDER_NOT_FOUND)\n"


async def test_each_violation_has_a_line(service: CannedService, payments: CommandLine) -> None:
    violations = {"user_id": "is required", "line_items[0].quantity": "is negative"}

    async def answer(_: object, context: Context) -> None:
        await refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", "two things", violations)

    service.answers("CreateCheckout", answer)

    finished = await payments.run("checkout")

    assert finished.code == 1
    assert finished.err.splitlines() == [
        "Error: The request is refused (INVALID_REQUEST):",
        "  user_id: is required",
        "  line_items[0].quantity: is negative",
    ]


async def test_an_unknown_outcome_says_how_to_ask_again_safely(service: CannedService, payments: CommandLine) -> None:
    async def answer(_: object, context: Context) -> None:
        await refuse(context, grpc.StatusCode.UNAVAILABLE, "STRIPE_OUTCOME_UNKNOWN", "Stripe's answer was lost.")

    service.answers("CreateCheckout", answer)

    finished = await payments.run("checkout")

    [request] = service.requests["CreateCheckout"]
    assert f"--request-id {request.request_id}" in finished.err


async def test_nothing_listening_is_said_with_what_to_do(tmp_path: Path) -> None:
    finished = await CommandLine(tmp_path, target=NOWHERE).run("status")

    assert finished.code == 1
    assert finished.err == (
        f"Error: Nothing answers at {NOWHERE}: start it with `payments up`, or set PAYMENTS_TARGET.\n"
    )


async def test_another_service_is_not_taken_for_payments(tmp_path: Path) -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    finished = await CommandLine(tmp_path, target=f"127.0.0.1:{port}").run("status")

    await server.stop(0)
    assert finished.code == 1
    assert "it is no payments service" in finished.err


async def test_tls_against_plain_text_is_told_apart_from_silence(address: str, payments: CommandLine) -> None:
    finished = await payments.run("status", target=f"https://{address}")

    assert finished.code == 1
    assert "do not agree on TLS" in finished.err


async def test_the_token_goes_with_each_call(service: CannedService, payments: CommandLine) -> None:
    service.answers("GetStatus", GetStatusResponse(version="1"))

    await payments.run("status", token="geheim")

    assert service.metadata[0]["authorization"] == "Bearer geheim"


async def test_the_token_does_not_cross_a_network_in_plain_text(tmp_path: Path) -> None:
    finished = await CommandLine(tmp_path, target="payments.example:50051", token="geheim").run("status")

    assert finished.code == 1
    assert "PAYMENTS_TOKEN would cross the network readable" in finished.err
    assert "geheim" not in finished.err


async def test_a_wrong_setting_is_one_sentence(tmp_path: Path) -> None:
    finished = await CommandLine(tmp_path, retention_days="soon").run("status")

    assert finished.code == 1
    assert finished.err.startswith("Error: PAYMENTS_RETENTION_DAYS: ")


async def test_a_name_cannot_steer_the_terminal(service: CannedService, payments: CommandLine) -> None:
    hostile = order_number(1, user="\x1b]0;owned\x07[bold]x\u202e")
    service.answers("GetOrder", GetOrderResponse(order=hostile))

    shown = await payments.on_terminal("order", hostile.order_id, columns=120)

    assert "�]0;owned�[bold]x�" in shown


@pytest.mark.parametrize("columns", [50, 80])
async def test_a_table_fits_the_terminal_and_keeps_ids_whole(
    service: CannedService, payments: CommandLine, columns: int
) -> None:
    orders = [order_number(number) for number in range(3)]
    service.answers("ListOrders", ListOrdersResponse(orders=orders))

    shown = await payments.on_terminal("orders", columns=columns)

    assert all(len(line) <= columns for line in shown.splitlines())
    assert all(order.order_id in shown for order in orders)
    assert "10.50 EUR" in " ".join(shown.split())


async def test_piped_output_has_no_colours_and_one_line_a_row(service: CannedService, payments: CommandLine) -> None:
    service.answers("ListOrders", ListOrdersResponse(orders=[order_number(1), order_number(2)]))

    finished = await payments.run("orders")

    assert "\x1b" not in finished.out
    assert len(finished.out.splitlines()) == 3
    assert all(line == line.rstrip() for line in finished.out.splitlines())
    assert "paid, awaiting owner" in finished.out
    assert "user_1" in finished.out


async def test_a_reader_that_has_enough_is_no_error(service: CannedService, payments: CommandLine) -> None:
    service.answers("ListOrders", ListOrdersResponse(orders=[order_number(number) for number in range(400)]))

    async with payments.started("orders", "--json", "--limit", "400") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        await process.stdout.readline()
        hang_up(process)
        err = await asyncio.wait_for(process.stderr.read(), 20)

    assert err == b""


async def test_a_client_command_loads_nothing_of_the_server(service: CannedService, payments: CommandLine) -> None:
    service.answers("ListOrders", ListOrdersResponse())

    loaded = await payments.modules_loaded_by("orders")

    assert "grpc" in loaded
    assert loaded.isdisjoint(SERVER_SIDE)


async def test_help_loads_no_grpc_and_no_settings(payments: CommandLine) -> None:
    loaded = await payments.modules_loaded_by("--help")

    assert loaded.isdisjoint({*SERVER_SIDE, "grpc", "pydantic", "google.protobuf"})
