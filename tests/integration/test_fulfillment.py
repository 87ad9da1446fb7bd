"""What was paid is handed over once: granted, given to its owner, or done by a plug-in; failures are retried."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from payments_service.actors.sweep import due_of
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.contract.pb.payments.v1.order_pb2 import FULFILLMENT_STATE_FAILED, FULFILLMENT_STATE_PENDING
from payments_service.contract.pb.payments.v1.payments_pb2 import CompleteFulfillmentRequest, FailFulfillmentRequest
from payments_service.contract.pb.payments.v1.purchase_pb2 import (
    CustomPurchase,
    DigitalGoodPurchase,
    Purchase,
    ServicePurchase,
)
from payments_service.errors import (
    ConfigurationError,
    FulfillmentNotAwaitedError,
    FulfillmentNotFoundError,
    GenerationMismatchError,
    InvalidRequestError,
)
from payments_service.fulfillment.attempt import Share
from payments_service.fulfillment.plugin import FulfillerPlugin, FulfillmentTask
from payments_service.fulfillment.registry import load_registry
from payments_service.orders.states import FulfillmentState
from payments_service.scope import EVERYTHING, Scope
from payments_service.storage.entitlement_rows import EntitlementRow, list_entitlements
from payments_service.storage.fulfillment_rows import FulfillmentRow, PurchaseTypes

from .stages import COURSE, Stages, open_stages, session_of

SERVICE = Purchase(service=ServicePurchase(service_id="coaching"))
LICENCE = Purchase(digital_good=DigitalGoodPurchase(sku="ebook-7", seats=3))
GIFT_CARD = Purchase(custom=CustomPurchase(type="gift_card", custom_id="g1"))
Type = FulfillmentEvent


async def paid(stages: Stages, purchase: Purchase) -> FulfillmentRow:
    """Make an order that is paid, and give what it owes."""
    order = await stages.order(purchase)
    await stages.tell("checkout.session.completed", session_of(order))
    (row,) = await stages.owed(order.order_id)
    return row


async def entitlements(stages: Stages) -> list[EntitlementRow]:
    async with stages.database.reading() as reading:
        return await list_entitlements(
            reading,
            EVERYTHING,
            organization_id="org_1",
            user_id="user_1",
            resource="",
            active_only=True,
            after=None,
            limit=10,
        )


async def test_a_course_is_granted_as_an_entitlement(stages: Stages) -> None:
    owed = await paid(stages, COURSE)

    fulfilled = await stages.fulfill(owed.order_id)

    (entitlement,) = await entitlements(stages)
    assert (fulfilled.state, fulfilled.attempts) == (FulfillmentState.FULFILLED, 1)
    assert (entitlement.resource, entitlement.quantity) == ("courses/intro-to-sql", 1)
    assert (await stages.log())[-1].type == Type.TYPE_FULFILLED
    assert (await stages.order_now(owed.order_id)).fulfillment_state == FulfillmentState.FULFILLED


async def test_a_digital_good_gets_a_licence_key_and_its_seats(stages: Stages) -> None:
    owed = await paid(stages, LICENCE)

    fulfilled = await stages.fulfill(owed.order_id)

    (entitlement,) = await entitlements(stages)
    assert len(fulfilled.result["licence_key"]) == 29
    assert (entitlement.resource, entitlement.quantity) == ("digital_goods/ebook-7", 3)
    assert (await stages.log())[-1].fulfillment.result == fulfilled.result


async def test_ten_workers_on_one_fulfillment_do_it_once(stages: Stages) -> None:
    owed = await paid(stages, LICENCE)

    await asyncio.gather(*(stages.fulfillments.work(owed.fulfillment_id) for _ in range(10)))

    assert [event.type for event in await stages.log()].count(Type.TYPE_FULFILLED) == 1
    assert len(await entitlements(stages)) == 1


async def test_a_service_waits_for_its_owner_and_is_completed_once(stages: Stages) -> None:
    owed = await paid(stages, SERVICE)
    asked = await stages.fulfill(owed.order_id)
    report = CompleteFulfillmentRequest(fulfillment_id=owed.fulfillment_id, result={"booking": "B-7"})

    first = await stages.desk.complete(report, EVERYTHING)
    again = await stages.desk.complete(report, EVERYTHING)

    assert asked.state == FulfillmentState.AWAITING_OWNER
    assert first == again
    assert dict(first.fulfillments[0].result) == {"booking": "B-7"}
    assert [event.type for event in await stages.log()][2:] == [Type.TYPE_FULFILLMENT_REQUESTED, Type.TYPE_FULFILLED]


async def test_a_report_that_nobody_waits_for_is_refused(stages: Stages) -> None:
    owed = await paid(stages, COURSE)
    await stages.fulfill(owed.order_id)
    report = CompleteFulfillmentRequest(fulfillment_id=owed.fulfillment_id, result={"other": "x"})

    with pytest.raises(FulfillmentNotAwaitedError) as refused:
        await stages.desk.complete(report, EVERYTHING)

    assert refused.value.metadata == {"state": "FULFILLED"}


async def test_a_report_on_another_generation_is_refused(stages: Stages) -> None:
    owed = await paid(stages, SERVICE)
    await stages.fulfill(owed.order_id)

    with pytest.raises(GenerationMismatchError):
        await stages.desk.complete(
            CompleteFulfillmentRequest(fulfillment_id=owed.fulfillment_id, generation=1), EVERYTHING
        )


@pytest.mark.parametrize(
    "scope", [Scope(frozenset({"org_2"}), None), Scope(None, frozenset({"course"})), Scope(frozenset(), None)]
)
async def test_anothers_fulfillment_does_not_exist(stages: Stages, scope: Scope) -> None:
    owed = await paid(stages, SERVICE)
    await stages.fulfill(owed.order_id)

    with pytest.raises(FulfillmentNotFoundError):
        await stages.desk.complete(CompleteFulfillmentRequest(fulfillment_id=owed.fulfillment_id), scope)


async def test_a_result_that_would_bloat_every_event_is_refused(stages: Stages) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        await stages.desk.complete(CompleteFulfillmentRequest(result={"k": "x" * 2_001}), EVERYTHING)

    assert refused.value.violations[0].field == "result[k]"


async def test_an_owner_who_cannot_now_is_asked_again_later(stages: Stages) -> None:
    owed = await paid(stages, SERVICE)
    await stages.fulfill(owed.order_id)

    await stages.desk.fail(
        FailFulfillmentRequest(fulfillment_id=owed.fulfillment_id, error="calendar is down", retry=True), EVERYTHING
    )
    early = await stages.fulfill(owed.order_id)
    await stages.make_due()
    asked = await stages.fulfill(owed.order_id)

    assert (early.state, early.last_error) == (FulfillmentState.PENDING, "calendar is down")
    assert (asked.state, asked.attempts) == (FulfillmentState.AWAITING_OWNER, 2)


async def test_an_owner_who_never_can_ends_it_and_an_operator_may_try_again(stages: Stages) -> None:
    owed = await paid(stages, SERVICE)
    await stages.fulfill(owed.order_id)

    ended = await stages.desk.fail(
        FailFulfillmentRequest(fulfillment_id=owed.fulfillment_id, error="sold out"), EVERYTHING
    )
    reopened = await stages.desk.retry(owed.fulfillment_id, EVERYTHING)
    asked = await stages.fulfill(owed.order_id)

    assert ended.fulfillments[0].state == ended.fulfillment_state == FULFILLMENT_STATE_FAILED
    assert reopened.fulfillment_state == FULFILLMENT_STATE_PENDING
    assert stages.waker.fulfillments[-1] == owed.fulfillment_id
    assert (asked.state, asked.attempts) == (FulfillmentState.AWAITING_OWNER, 1)


class GiftCards:
    """A plug-in that fails as often as it is told to, and notes what it was given."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.words = "the card maker is down"
        self.tasks: list[FulfillmentTask] = []

    async def fulfill(self, task: FulfillmentTask) -> Mapping[str, str]:
        """Make a card."""
        self.tasks.append(task)
        if len(self.tasks) <= self.failures:
            raise ConnectionError(self.words)
        return {"card": f"card-for-{task.idempotency_key}"}

    async def revoke(self, task: FulfillmentTask) -> None:
        """Take the card back."""


@pytest.fixture
def gift_cards() -> GiftCards:
    return GiftCards(failures=1)


@pytest.fixture
async def with_gift_cards(database_url: str, gift_cards: GiftCards) -> AsyncIterator[Stages]:
    async with open_stages(database_url, {"gift_card": gift_cards}) as opened:
        yield opened


async def test_a_failure_in_words_that_no_database_takes_is_noted_all_the_same(
    with_gift_cards: Stages, gift_cards: GiftCards
) -> None:
    gift_cards.words = "down\0 \udc80"
    owed = await paid(with_gift_cards, GIFT_CARD)

    failed = await with_gift_cards.fulfill(owed.order_id)

    assert failed.last_error == "ConnectionError: down ?"


async def test_a_plugin_is_tried_again_with_the_same_key(with_gift_cards: Stages, gift_cards: GiftCards) -> None:
    stages = with_gift_cards
    owed = await paid(stages, GIFT_CARD)

    failed = await stages.fulfill(owed.order_id)
    await stages.make_due()
    done = await stages.fulfill(owed.order_id)

    first, second = gift_cards.tasks
    assert (failed.state, failed.last_error) == (
        FulfillmentState.PENDING,
        "ConnectionError: the card maker is down",
    )
    assert first.idempotency_key == second.idempotency_key == f"{owed.fulfillment_id}-0"
    assert first.order.purchase == GIFT_CARD
    assert (done.state, done.result) == (FulfillmentState.FULFILLED, {"card": f"card-for-{first.idempotency_key}"})


async def test_plug_ins_are_worked_on_apart_from_all_others(with_gift_cards: Stages, gift_cards: GiftCards) -> None:
    stages, handed_on = with_gift_cards, list[str]()
    gift = await paid(stages, GIFT_CARD)
    ours, plugged = PurchaseTypes(("gift_card",), others=True), PurchaseTypes(("gift_card",))
    work = replace(stages.fulfillments, share=Share(ours, 15.0), hand_on=handed_on.append)

    await work.work(gift.fulfillment_id)

    async with stages.database.reading() as reading:
        due = [await due_of(types)(reading, limit=9, overdue_seconds=0.0) for types in (ours, plugged)]
    assert due == [[], [gift.fulfillment_id]]
    assert handed_on == [gift.fulfillment_id]
    assert gift_cards.tasks == []


async def test_a_plugin_that_never_works_is_failed_and_told(with_gift_cards: Stages, gift_cards: GiftCards) -> None:
    stages = with_gift_cards
    gift_cards.failures = 99
    owed = await paid(stages, GIFT_CARD)

    states = []
    for _ in range(4):
        states.append((await stages.fulfill(owed.order_id)).state)
        await stages.make_due()

    assert states == [1, 1, FulfillmentState.FAILED, FulfillmentState.FAILED]
    assert len(gift_cards.tasks) == 3
    assert (await stages.log())[-1].type == Type.TYPE_FULFILLMENT_FAILED


async def test_a_custom_purchase_without_a_plugin_goes_to_its_owner(stages: Stages) -> None:
    owed = await paid(stages, GIFT_CARD)

    assert (await stages.fulfill(owed.order_id)).state == FulfillmentState.AWAITING_OWNER


PLUGIN_SOURCE = '''
class GiftCards:
    """A worked example: a package with this class and the entry point below is all that a new fulfiller needs."""

    async def fulfill(self, task):
        return {"card": task.order.purchase.custom.custom_id}

    async def revoke(self, task):
        pass


class Half:
    async def fulfill(self, task):
        return {}
'''


def install(folder: Path, entry: str) -> None:
    (folder / "gift_card_package.py").write_text(PLUGIN_SOURCE)
    info = folder / "gift_card_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gift-card-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[payments.fulfillers]\ngift_card = gift_card_package:{entry}\n")


@pytest.fixture
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("packages")
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop("gift_card_package", None)


async def test_an_installed_package_fulfills_its_type(packages: Path, tmp_path: Path) -> None:
    install(packages, "GiftCards")
    plugin = load_registry().plugin_of("gift_card")

    assert isinstance(plugin, FulfillerPlugin)
    async with open_stages(tmp_path, {"gift_card": plugin}) as stages:
        owed = await paid(stages, GIFT_CARD)
        assert (await stages.fulfill(owed.order_id)).result == {"card": "g1"}


@pytest.mark.parametrize(
    ("entry", "reason"), [("Half", "needs `fulfill` and `revoke`"), ("Missing", "cannot be loaded")]
)
def test_a_broken_package_stops_the_start_and_is_named(packages: Path, entry: str, reason: str) -> None:
    install(packages, entry)

    with pytest.raises(ConfigurationError, match=f"'gift_card' .*{reason}"):
        load_registry()
