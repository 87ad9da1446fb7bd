"""Who calls is known by a token of the callers file, which is taken up again while the service runs."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from structlog.testing import capture_logs

from payments_service.contract.pb.payments.v1 import operations_pb2 as ops
from payments_service.contract.pb.payments.v1 import payments_pb2 as pb
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import StartPosition
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsRequest
from payments_service.rpc.callers import KnownCallers

from .rpc_service import (
    COURSES,
    OPERATOR,
    OTHER,
    SHOP,
    Entry,
    RpcService,
    bearer,
    callers_toml,
    open_service,
    refusal,
    until,
)

Metadata = tuple[tuple[str, str], ...]
EARLIEST = StreamFulfillmentsRequest(start=StartPosition(earliest=True))


async def is_known(service: RpcService, token: str) -> bool:
    try:
        await service.payments.ListOrders(pb.ListOrdersRequest(), metadata=bearer(token))
    except grpc.aio.AioRpcError as error:
        return error.code() is not grpc.StatusCode.UNAUTHENTICATED
    return True


async def read_on(responses: AsyncIterator[object]) -> None:
    async for _ in responses:
        pass


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        bearer("unknown"),
        bearer(""),
        (("authorization", "Basic c2hvcDpzaG9w"),),
        (("authorization", "shop"),),
        (("x-token", "shop"),),
        (*bearer("shop"), *bearer("other")),
    ],
)
async def test_whoever_brings_no_known_token_is_unauthenticated(service: RpcService, metadata: Metadata) -> None:
    answer = await refusal(service.payments.ListOrders(pb.ListOrdersRequest(), metadata=metadata))

    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")


async def test_a_token_is_rotated_without_a_restart(service: RpcService) -> None:
    def rotated(*tokens: str) -> str:
        return callers_toml(SHOP, tokens={"shop": list(tokens)})

    service.callers_path.write_text(rotated("shop", "new"))
    await until(lambda: is_known(service, "new"))
    assert await is_known(service, "shop")

    service.callers_path.write_text(rotated("new"))

    async def shop_is_gone() -> bool:
        return not await is_known(service, "shop")

    await until(shop_is_gone)
    assert await is_known(service, "new")


@pytest.mark.parametrize("content", ["", "[[callers]", callers_toml(SHOP, SHOP), "callers = 1"])
async def test_an_invalid_file_keeps_the_last_good_one(service: RpcService, content: str) -> None:
    with capture_logs() as logs:
        service.take_up(content)
    assert await is_known(service, "shop")
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["callers.kept_last_good"]

    service.take_up(callers_toml(OTHER))
    assert not await is_known(service, "shop")


async def test_a_file_that_is_gone_keeps_the_last_good_one(service: RpcService) -> None:
    service.callers_path.unlink()

    service.look_at_callers()

    assert await is_known(service, "shop")


async def test_half_of_a_changed_file_is_not_taken_up(service: RpcService) -> None:
    callers = service.parts.callers
    assert isinstance(callers, KnownCallers)
    for half in (callers_toml(OTHER), callers_toml(OTHER, COURSES)):
        service.callers_path.write_text(half)
        callers.reload()

        assert await is_known(service, "shop")


async def test_a_live_stream_of_a_revoked_caller_ends_unauthenticated(service: RpcService) -> None:
    responses = aiter(service.payments.StreamFulfillments(EARLIEST, metadata=bearer(SHOP)))
    assert (await anext(responses)).HasField("opened")

    service.take_up(callers_toml(OTHER))

    assert (await refusal(read_on(responses))).reason == "UNAUTHENTICATED"


async def test_a_live_stream_shows_only_what_its_caller_may_still_see(service: RpcService) -> None:
    wide = Entry("wide", "caller", ["org_1", "org_2"], ["*"])
    service.take_up(callers_toml(wide))
    responses = aiter(service.payments.StreamFulfillments(EARLIEST, metadata=bearer(wide)))
    await anext(responses)

    service.take_up(callers_toml(wide._replace(organizations=["org_2"])))
    for organization_id in ("org_1", "org_2"):
        await service.paid_order(organization_id)
    await service.log()

    seen: list[str] = []
    while not seen:
        seen = [event.organization_id for event in (await anext(responses)).events]
    assert set(seen) == {"org_2"}


@pytest.mark.parametrize(
    ("entry", "missing"),
    [
        (SHOP, 'role = "operator"'),
        (Entry("half", "operator", ["org_1"], ["*"]), 'organizations = ["*"]'),
        (Entry("typed", "operator", ["*"], ["course"]), 'purchase_types = ["*"]'),
    ],
)
async def test_operations_need_an_operator_of_everything(service: RpcService, entry: Entry, missing: str) -> None:
    service.take_up(callers_toml(entry))

    call = service.operations.ListStripeEvents(ops.ListStripeEventsRequest(), metadata=bearer(entry))

    answer = await refusal(call)
    assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
    assert answer.metadata == {"method": "payments.v1.Operations/ListStripeEvents", "missing": missing}


async def test_an_operator_may_use_both_services(service: RpcService) -> None:
    status = await service.operations.GetStatus(ops.GetStatusRequest(), metadata=bearer(OPERATOR))

    assert status.version == "1.2.3"
    await service.payments.ListOrders(pb.ListOrdersRequest(), metadata=bearer(OPERATOR))


async def test_without_a_file_everybody_may_do_everything(tmp_path: Path) -> None:
    async with open_service(tmp_path, callers="") as service:
        await service.operations.GetStatus(ops.GetStatusRequest())
        await service.payments.ListOrders(pb.ListOrdersRequest(), metadata=bearer(COURSES))
