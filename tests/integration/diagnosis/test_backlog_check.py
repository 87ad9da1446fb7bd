"""What waits, has failed or is parked is told with the command that shows more, on both databases."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from integration.stages import open_stages
from payments_service.diagnosis.backlog_check import check_backlog, judge_backlog
from payments_service.diagnosis.finding import Level
from payments_service.orders.states import FulfillmentState, StripeEventState
from payments_service.settings import read_settings
from payments_service.storage.backlog_rows import Backlog
from payments_service.storage.inbox_rows import InboxCounts
from payments_service.storage.lease_rows import DutyLease, enlist_duties, take_duty

from .findings import messages, only

NOW = datetime(2026, 11, 25, tzinfo=UTC)
HELD = [DutyLease("sequence", "worker", 1, NOW + timedelta(seconds=4))]
QUIET = Backlog(InboxCounts({}, None), {}, {}, None, HELD, NOW, NOW)


def judged(**changes: Any) -> list[str]:  # noqa: ANN401
    return messages(judge_backlog(QUIET._replace(**changes), read_settings()))


async def test_a_database_at_work_is_well_until_nobody_holds_its_duties(database_url: str) -> None:
    settings = read_settings(database_url=database_url)
    async with open_stages(database_url) as stages:
        idle = await check_backlog(settings)
        async with stages.database.transaction() as tx:
            await enlist_duties(tx, ["sequence", "trim"])
            await take_duty(tx, "sequence", "worker", 60)
        half = await check_backlog(settings)
        async with stages.database.transaction() as tx:
            await take_duty(tx, "trim", "worker", 60)
        well = await check_backlog(settings)

    assert messages(idle) == ["No worker is at work: no duty is held."]
    assert messages(half) == ["Nobody holds these duties: trim."]
    assert messages(well) == []


async def test_a_database_that_cannot_be_read_is_left_to_its_own_check() -> None:
    [found] = await check_backlog(read_settings(database_url="postgresql://payments@127.0.0.1:1/x"))

    assert (found.level, found.remedy) == (Level.WARNING, "See what is said of the database.")


async def test_a_database_without_our_schema_has_no_backlog(blank_database_url: str, tmp_path: Path) -> None:
    (tmp_path / "payments.db").touch()

    assert await check_backlog(read_settings(database_url=blank_database_url)) == []


def test_where_all_is_done_all_is_well() -> None:
    assert judged() == []
    assert judged(events=InboxCounts({StripeEventState.PENDING: 3}, timedelta(seconds=20))) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"events": InboxCounts({StripeEventState.PENDING: 3}, timedelta(minutes=5))}, "3 of Stripe's events wait"),
        ({"events": InboxCounts({StripeEventState.FAILED: 2}, None)}, "2 of Stripe's events have failed"),
        ({"fulfillments": {FulfillmentState.FAILED: 1}}, "1 fulfillments have failed"),
        ({"parked": {"courses": 4}}, "4 events are parked for the subscriber courses"),
        ({"outbox_age": timedelta(hours=3)}, "An event waits for 3 h to be put into the log"),
        ({"reconcile_time": NOW - timedelta(minutes=5)}, "Stripe's list of events was last read 5 min ago"),
        ({"duties": []}, "No worker is at work"),
    ],
)
def test_what_needs_somebody_is_a_warning(changes: dict[str, object], said: str) -> None:
    [found] = judged(**changes)

    assert said in found


def test_what_has_failed_names_the_command_that_helps() -> None:
    backlog = QUIET._replace(events=InboxCounts({StripeEventState.FAILED: 2}, None))

    found = only(judge_backlog(backlog, read_settings()), "have failed")

    assert "payments replay --state failed" in found.remedy
