"""A call's deadline leaves time for our own commit, and too little of it is said."""

import pytest

from payments_service.checkout.call_deadline import COMMIT_SECONDS, LEAST_CALL_SECONDS, CallDeadline
from payments_service.errors import StripeUnavailableError


def test_stripe_gets_what_is_left_but_for_the_commit() -> None:
    times = iter([100.0, 103.0])
    deadline = CallDeadline(10.0, lambda: next(times))

    assert deadline.for_stripe() == 7.0 - COMMIT_SECONDS


def test_too_little_for_stripe_is_said_with_what_is_left() -> None:
    now = 100.0
    deadline = CallDeadline(COMMIT_SECONDS + LEAST_CALL_SECONDS - 0.1, lambda: now)

    with pytest.raises(StripeUnavailableError, match=r"0\.4 s.*deadline of 5 s or more"):
        deadline.for_stripe()


def test_a_deadline_that_is_over_is_below_zero() -> None:
    times = iter([100.0, 112.0, 112.0, 112.0])
    deadline = CallDeadline(10.0, lambda: next(times))

    assert deadline.left() == -2.0
    with pytest.raises(StripeUnavailableError, match=r"0\.0 s"):
        deadline.for_stripe()
