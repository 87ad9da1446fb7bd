"""A SQLite file has one owner, who may take back what the dead one held."""

from pathlib import Path

import pytest
from sqlalchemy import update

from payments_service.errors import ConfigurationError
from payments_service.orders.states import FulfillmentState
from payments_service.storage.column_types import database_now_plus
from payments_service.storage.file_owner import free_leases, owning_file
from payments_service.storage.tables import fulfillments

from .stages import Stages, session_of


def test_a_second_process_is_told_who_has_the_file(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/new/payments.db"

    with owning_file(url), pytest.raises(ConfigurationError, match="has one owner"), owning_file(url):
        pass

    with owning_file(url):
        pass


async def test_a_new_owner_goes_on_at_once_with_what_a_dead_one_had_claimed(stages: Stages) -> None:
    order = await stages.order()
    await stages.tell("checkout.session.completed", session_of(order))
    async with stages.database.transaction() as tx:
        await tx.execute(update(fulfillments).values(lease_expire_time=database_now_plus(90)))
    held = await stages.fulfill(order.order_id)

    async with stages.database.transaction() as tx:
        await free_leases(tx)

    assert held.state == FulfillmentState.PENDING
    assert (await stages.fulfill(order.order_id)).state == FulfillmentState.FULFILLED
