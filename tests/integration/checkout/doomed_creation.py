"""A process of its own that is killed between Stripe's answer and the commit; it reads the request from its input."""

import asyncio
import os
import signal
import sys

import aiohttp

from payments_service.contract.pb.payments.v1.payments_pb2 import CreateCheckoutRequest
from payments_service.storage.database import open_database
from payments_service.stripe_gateway.client import StripeKey, open_gateway

from .checkout_shop import KEY, Json, Shop


async def _die(_: Json) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def _main(request: CreateCheckoutRequest) -> None:
    url = os.environ["SHOP_STRIPE"]
    async with (
        open_gateway(StripeKey(KEY, url)) as gateway,
        open_database(os.environ["SHOP_DATABASE"]) as database,
        aiohttp.ClientSession() as http,
    ):
        shop = Shop(database, gateway, http, url)
        shop.gateway.once_answered = _die
        await shop.create(request)


asyncio.run(_main(CreateCheckoutRequest.FromString(sys.stdin.buffer.read())))
