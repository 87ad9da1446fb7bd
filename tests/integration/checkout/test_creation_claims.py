"""Of two holders of one order's creation, only the later one's answer counts: the epoch fences the other off."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from payments_service.checkout.creation_claims import Claim, CreationClaims
from payments_service.checkout.new_order import new_order
from payments_service.checkout.session_recorder import SessionRecorder
from payments_service.errors import StripeOutcomeUnknownError, StripeRejectedError
from payments_service.orders.states import PaymentState
from payments_service.scope import EVERYTHING
from payments_service.storage.database import Database, open_database
from payments_service.storage.order_rows import OrderRow, find_order
from payments_service.storage.schema import migrate

from .checkout_shop import COURSES, PAGES, NotedWaker, course_request

REFUSAL = StripeRejectedError("Stripe refused the request: no.", stripe_code="", stripe_param="", stripe_request_id="")


def now() -> datetime:
    return datetime.now(UTC)


def session(session_id: str) -> dict[str, Any]:
    return {
        "id": session_id,
        "object": "checkout.session",
        "status": "open",
        "payment_status": "unpaid",
        "url": f"https://checkout.stripe.example/{session_id}",
        "amount_total": 4900,
        "currency": "usd",
        "expires_at": int(now().timestamp()) + 3600,
    }


@dataclass
class Rivals:
    """Two claims of one order: the first one's lease was over before it came back."""

    claims: CreationClaims
    database: Database
    late: Claim
    present: Claim

    async def row(self) -> OrderRow:
        """Read the order."""
        async with self.database.reading() as reading:
            row = await find_order(reading, self.late.order.order_id, EVERYTHING)
        assert row is not None
        return row


@pytest.fixture
async def rivals(tmp_path: Path) -> AsyncIterator[Rivals]:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/payments.db") as database:
        await migrate(database)
        claims = CreationClaims(database, SessionRecorder(database, NotedWaker(), now), now)
        values = new_order(course_request(), COURSES, PAGES, now())
        values |= {"request_digest": b"", "stripe_account": "", "livemode": False}
        late = await claims.begin(values, -10.0)
        present = await claims.take(values["order_id"], 60.0)
        assert isinstance(late, Claim)
        assert isinstance(present, Claim)
        yield Rivals(claims, database, late, present)


async def test_a_late_session_does_not_replace_the_present_holders(rivals: Rivals) -> None:
    opened = await rivals.claims.open(rivals.present, session("cs_present"))

    assert await rivals.claims.open(rivals.late, session("cs_late")) is None

    assert await rivals.row() == opened
    assert (await rivals.row()).checkout_session_id == "cs_present"


async def test_a_late_session_waits_for_the_present_holders_answer(rivals: Rivals) -> None:
    assert await rivals.claims.open(rivals.late, session("cs_late")) is None

    assert (await rivals.row()).payment_state == PaymentState.CREATING


async def test_a_late_refusal_refuses_nothing(rivals: Rivals) -> None:
    before = await rivals.row()

    assert await rivals.claims.reject(rivals.late, REFUSAL) is None

    assert await rivals.row() == before


async def test_a_late_failure_does_not_end_the_present_holders_lease(rivals: Rivals) -> None:
    before = await rivals.row()

    await rivals.claims.release(rivals.late, StripeOutcomeUnknownError("Lost."))
    await rivals.claims.abandon(rivals.late)
    await rivals.claims.renew(rivals.late)

    assert await rivals.row() == before
    assert await rivals.claims.take(before.order_id, 60.0) is None


async def test_a_refusal_that_a_webhook_contradicts_changes_nothing(rivals: Rivals) -> None:
    opened = await rivals.claims.open(rivals.present, session("cs_present"))

    assert await rivals.claims.reject(rivals.present, REFUSAL) is None

    assert await rivals.row() == opened


async def test_who_takes_over_knows_that_a_session_may_exist(rivals: Rivals) -> None:
    assert not rivals.late.doubtful
    assert rivals.present.doubtful
    assert rivals.present.idempotency_key == rivals.late.idempotency_key


async def test_a_new_generation_has_a_new_key_and_no_past(rivals: Rivals) -> None:
    await rivals.claims.renew(rivals.present)

    renewed = await rivals.claims.take(rivals.present.order.order_id, 60.0)

    assert isinstance(renewed, Claim)
    assert renewed.idempotency_key == f"{renewed.order.order_id}-1"
    assert (renewed.doubtful, renewed.key_lives) == (False, True)
