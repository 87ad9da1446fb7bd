"""A broker that is away, frozen or of another kind is found in time."""

import asyncio
import time

import pytest
from broker_servers.broker_process import free_port, running_broker
from broker_servers.rabbitmq import RabbitMq, require_rabbitmq
from broker_servers.valkey import Valkey

from payments_service.diagnosis.broker_check import check_broker, judge_answer
from payments_service.diagnosis.finding import Finding, Level
from payments_service.settings import read_settings


async def look(url: str) -> Finding:
    [found] = await check_broker(read_settings(broker_url=url))
    return found


async def test_a_redis_that_answers_is_well_and_one_that_is_frozen_or_dead_is_not() -> None:
    async with running_broker(Valkey()) as broker:
        well = await look(broker.url)
        broker.freeze()
        began = time.monotonic()
        frozen = await look(broker.url)
        took = time.monotonic() - began
        broker.thaw()
        broker.kill()
        dead = await look(broker.url)

    assert well.level is not Level.PROBLEM  # it is slow where the machine is
    assert frozen.level is dead.level is Level.PROBLEM
    assert took < 20
    assert "Nothing is lost meanwhile" in dead.remedy


async def test_a_rabbitmq_that_answers_is_well_and_a_wrong_password_is_not() -> None:
    require_rabbitmq()
    async with running_broker(RabbitMq()) as broker:
        well = await look(broker.url)
        refused = await look(broker.url.replace("//", "//guest:geheim@"))
        nowhere = await look(f"{broker.url}/nowhere")

    assert well.level is not Level.PROBLEM
    assert refused.level is nowhere.level is Level.PROBLEM
    assert "geheim" not in refused.message
    assert "ACCESS_REFUSED" in refused.message
    assert "nowhere" in nowhere.message


async def test_where_nobody_listens_or_nobody_answers_it_is_said_in_time() -> None:
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(30):
        refused, silent = await asyncio.gather(
            look(f"amqp://guest:geheim@127.0.0.1:{free_port()}"), look(f"amqp://127.0.0.1:{port}")
        )
    server.close()
    for writer in held:
        writer.close()
        await writer.wait_closed()

    assert "Connect call failed" in refused.message
    assert "geheim" not in refused.message
    assert "Timeout" in silent.message


@pytest.mark.parametrize(("url", "level"), [("memory://", Level.OK), ("kafka://host", Level.PROBLEM)])
async def test_a_broker_of_no_known_kind_is_a_problem(url: str, level: Level) -> None:
    assert (await look(url)).level is level


def test_a_slow_answer_is_a_warning() -> None:
    assert [judge_answer("redis://host", seconds).level for seconds in (0.1, 1.5)] == [Level.OK, Level.WARNING]
