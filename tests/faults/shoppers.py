"""Backends that sell and buyers who pay, whatever breaks meanwhile: each sale is tried until it is made."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import aiohttp
import grpc
from acceptance.shop import COURSE, checkout_request

from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsStub
from payments_service.contract.pb.payments.v1.purchase_pb2 import Purchase

from .checker.judge import Evidence, gather, is_settled, unkept_acknowledgements, verdict
from .installation import Installation
from .recovery_times import note_recovery

CALL_SECONDS = 10.0
SETTLE_SECONDS = 60.0
PAUSE = 0.25


class Shoppers:
    """Makes sales, one after another or many at once."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._target = installation.reached_at
        self.orders: list[str] = []
        self.refusals = 0
        self._paid_at: dict[str, float] = {}
        self._fault_ended: float | None = None

    async def sell(self, impatience: float = 0.0, purchase: Purchase = COURSE) -> str:
        """Create a checkout by one request id, however often it takes, and pay it; returns the order's id.

        With some impatience a caller sometimes hangs up before the answer, and asks again.
        """
        request = checkout_request(purchase, request_id=str(uuid4()))
        while random.random() < impatience:  # noqa: S311
            await self._hang_up_on(request)
        order = await self.again(lambda: self._checkout(request))
        self._paid_at[order.order_id] = time.time()
        await self.again(lambda: self._paid(order.checkout_session_id))
        self.orders.append(order.order_id)
        return str(order.order_id)

    async def sell_many(self, number: int, together: int = 4) -> None:
        """Make so many sales."""
        left = iter(range(number))

        async def one_after_another() -> None:
            for _ in left:
                await self.sell()

        await asyncio.gather(*(one_after_another() for _ in range(together)))

    @asynccontextmanager
    async def selling(self, at_least: int = 0, impatience: float = 0.0) -> AsyncIterator[None]:
        """Sell without end meanwhile, as fast as keeps a small machine free for what is tested."""
        ending, before = asyncio.Event(), len(self.orders)

        async def sell() -> None:
            while not ending.is_set() or len(self.orders) - before < at_least:
                await self.sell(impatience)
                await asyncio.sleep(PAUSE)

        tasks = [asyncio.create_task(sell()) for _ in range(2)]
        try:
            yield
        finally:
            ending.set()
            await asyncio.gather(*tasks)

    async def settled(self, seconds: float = SETTLE_SECONDS) -> tuple[Evidence, float]:
        """Wait until all that was paid is fulfilled and told; gives the evidence, and how long it took."""
        began = time.monotonic()
        while True:
            seen = await gather(
                self._installation.sandbox_url, self._installation.database_url, self._installation.told()
            )
            took = time.monotonic() - began
            if (is_settled(seen) and set(self.orders) <= set(seen.paid_orders)) or took > seconds:
                return seen, took
            await asyncio.sleep(0.1)

    def fault_has_ended(self) -> None:
        """Count the recovery from here; else it is counted from when one begins to wait for it."""
        self._fault_ended = time.monotonic()

    async def all_is_well(self, seconds: float = SETTLE_SECONDS, fault: str = "") -> float:
        """Wait for the end of all work and have it judged; returns how long it took since the fault's end."""
        since, self._fault_ended = self._fault_ended or time.monotonic(), None
        seen, _ = await self.settled(seconds)
        took = time.monotonic() - since
        problems = await verdict(seen, self._installation.sandbox_url)
        assert not problems, "\n".join([f"after {took:.1f} s:", *problems[:20]])
        assert is_settled(seen), f"after {took:.1f} s {seen.unsettled} rows still wait"
        assert len(seen.paid_orders) == len(self.orders)
        assert not (found := self._installation.tracebacks()), "\n".join(found)
        note_recovery(fault, took)
        return took

    async def acknowledgements_are_kept(self) -> None:
        """Require that nothing was acknowledged to Stripe and then lost, though it may have been found again."""
        unkept = await unkept_acknowledgements(self._installation.sandbox_url, self._installation.database_url)
        assert not unkept, "\n".join(unkept[:20])

    async def slowest(self, number: int) -> float:
        """Wait for the last sales, and tell how long the slowest took from the payment to the subscriber."""
        seen, _ = await self.settled()
        told = {each["order_id"]: each["at"] for each in reversed(seen.history) if each["type"] == "TYPE_FULFILLED"}
        return max(float(told[order_id]) - self._paid_at[order_id] for order_id in self.orders[-number:])

    async def _checkout(self, request: Any) -> Any:  # noqa: ANN401
        async with grpc.aio.insecure_channel(self._target) as channel:
            reply = await PaymentsStub(channel).CreateCheckout(request, timeout=CALL_SECONDS)
            return reply.order

    async def _hang_up_on(self, request: Any) -> None:  # noqa: ANN401
        with suppress(grpc.aio.AioRpcError):
            async with grpc.aio.insecure_channel(self._target) as channel:
                await PaymentsStub(channel).CreateCheckout(request, timeout=random.uniform(0.005, 0.3))  # noqa: S311

    async def _paid(self, session_id: str) -> None:
        url = f"{self._installation.sandbox_url}/_sandbox/sessions/{session_id}/pay"
        async with aiohttp.ClientSession() as http, http.post(url) as reply:
            assert reply.status in {200, 409}, await reply.text()

    async def again(self, call: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401
        """Call until it succeeds; any failure that a caller may not repeat is a finding."""
        while True:
            try:
                return await call()
            except (grpc.aio.AioRpcError, aiohttp.ClientError, OSError) as error:
                if not _may_be_repeated(error):
                    raise AssertionError("\n".join([str(error), *self._installation.tracebacks()])) from error
                self.refusals += 1
                await asyncio.sleep(random.uniform(0.02, 0.2))  # noqa: S311


def _may_be_repeated(error: Exception) -> bool:
    """Hold for what the contract says a caller may repeat with the same request id; all else is a finding."""
    if not isinstance(error, grpc.aio.AioRpcError):
        return True
    codes = grpc.StatusCode
    return error.code() in {codes.UNAVAILABLE, codes.DEADLINE_EXCEEDED, codes.RESOURCE_EXHAUSTED}
