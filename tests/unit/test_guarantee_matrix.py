"""docs/guarantees.md names for each of its rows tests that exist: a promise without a test is none."""

import re
from pathlib import Path

import pytest

from payments_service.storage.tables import metadata

TESTS = Path(__file__).resolve().parent.parent
MATRIX = (TESTS.parent / "docs" / "guarantees.md").read_text()
ROWS = re.findall(r"^\| (G\d+) \|", MATRIX, re.MULTILINE)
TRUTHS = re.findall(r"^\| G\d+ \|[^|]*\|[^|]*\|([^|]*)\|", MATRIX, re.MULTILINE)
PROOFS = {
    row: re.findall(r"`(\S+\.py)::(\w+)`", tests)
    for row, tests in re.findall(r"^- \*\*(G\d+)\*\*\n((?:  - .*\n)+)", MATRIX, re.MULTILINE)
}


def test_each_row_has_its_tests_and_no_test_is_without_a_row() -> None:
    assert list(PROOFS) == ROWS
    assert all(PROOFS.values())


@pytest.mark.parametrize(("file", "name"), sorted({proof for proofs in PROOFS.values() for proof in proofs}))
def test_each_named_test_exists(file: str, name: str) -> None:
    assert re.search(rf"def {name}\(", (TESTS / file).read_text())


def test_the_truth_of_each_row_lies_in_tables_that_exist() -> None:
    named = [name.partition(".") for truth in TRUTHS for name in re.findall(r"`([^`]+)`", truth)]

    assert named
    assert [table for table, _, column in named if column and column not in metadata.tables[table].columns] == []
    assert {table for table, _, _ in named} <= set(metadata.tables)
