"""A worker dies between a plug-in's effect and our mark: the plug-in is called again by the same key, and told once."""

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from broker_servers.valkey import Valkey
from database_servers.postgres_server import PostgresServer

from payments_service.contract.pb.payments.v1.purchase_pb2 import CustomPurchase, Purchase

from .conftest import LONG
from .installation import ROOT
from .plugin.gift_card_maker import CARDS, DOOM
from .recovery_times import note_recovery
from .scene import Scene, open_scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("frozen"),
]
DEATHS = 3 if LONG else 1
GIFT_CARD = Purchase(custom=CustomPurchase(type="gift_card", custom_id="g1"))
RECOVERY_SECONDS = 60.0


def installed(folder: Path) -> str:
    """Install the plug-in into a folder as pip would, and give the path by which it is found."""
    metadata = folder / "gift_card_maker-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: gift-card-maker\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[payments.fulfillers]\ngift_card = gift_card_maker:GiftCardMaker\n")
    return os.pathsep.join([str(ROOT), str(folder), str(Path(__file__).parent / "plugin")])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plugged(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("plugged")
    variables = {CARDS: str(folder / "cards"), DOOM: str(folder / "doom"), "PYTHONPATH": installed(folder)}
    async with open_scene(server, folder, Valkey(), "serve", "bridge", "worker", **variables) as opened:
        yield opened


async def test_a_plugin_whose_worker_dies_after_its_effect_is_called_again_by_the_same_key(plugged: Scene) -> None:
    installation, worker = plugged.installation, plugged.installation.members["worker"]
    before = await plugged.shoppers.sell(purchase=GIFT_CARD)
    await told(plugged, before)
    (installation.folder / "doom").touch()
    order_id = await plugged.shoppers.sell(purchase=GIFT_CARD)
    for death in range(DEATHS):
        assert await worker.ended() == -9
        (installation.folder / "doom").touch() if death + 1 < DEATHS else None
        await worker.start()
    loop = asyncio.get_running_loop()
    began = loop.time()

    await told(plugged, order_id)

    note_recovery("a worker dies between a plug-in's effect and our mark", loop.time() - began)
    cards = (installation.folder / "cards").read_text().split()
    assert sorted(Counter(cards).values()) == [1, 1 + DEATHS]
    assert Counter(fulfilled(plugged)) == {before: 1, order_id: 1}


async def test_without_a_broker_a_plugin_is_begun_by_the_sweep_that_finds_its_event(plugged: Scene) -> None:
    """It does not wait for a sweep of its own, which is for what a dead worker has left."""
    before = swept_tables(plugged).count("plugin_fulfillments")
    plugged.broker.kill()
    try:
        for _ in range(3):
            await told(plugged, await plugged.shoppers.sell(purchase=GIFT_CARD))
    finally:
        await plugged.broker.start()

    assert "stripe_events" in swept_tables(plugged)
    assert swept_tables(plugged).count("plugin_fulfillments") == before


def swept_tables(scene: Scene) -> list[str]:
    """Name the table of each sweep that found something."""
    lines = (json.loads(line) for line in scene.installation.members["worker"].log.splitlines() if line[0] == "{")
    return [line["table"] for line in lines if line["event"] == "sweep.worked"]


async def told(scene: Scene, order_id: str) -> None:
    async with asyncio.timeout(RECOVERY_SECONDS):
        while order_id not in fulfilled(scene):  # noqa: ASYNC110  # it is a file
            await asyncio.sleep(0.1)


def fulfilled(scene: Scene) -> list[str]:
    lines = [json.loads(line) for line in scene.installation.told().splitlines() if line.endswith("}")]
    return [
        order_id for _, order_id in {(e["event_id"], e["order_id"]) for e in lines if e["type"] == "TYPE_FULFILLED"}
    ]
