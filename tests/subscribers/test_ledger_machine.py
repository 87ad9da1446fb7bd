"""A group of ledgers without a database: whatever happens, nothing is lost, nothing overtakes, no floor goes back."""

import os

import pytest

from .ledger_machine import LedgerMachine

SEEDS = 400 if os.environ.get("PAYMENTS_TEST_LONG") else 12


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_group_keeps_its_promises_whatever_happens(seed: int) -> None:
    machine = LedgerMachine(seed)

    machine.run(2500)

    machine.finish()
