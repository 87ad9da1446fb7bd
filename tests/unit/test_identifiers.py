"""Ids sort by the time they were made, and no two are alike."""

from uuid import RFC_4122, UUID

from payments_service.identifiers import new_id


def test_an_id_is_its_prefix_and_a_uuid_of_version_7() -> None:
    prefix, _, value = new_id("ord").partition("_")

    assert prefix == "ord"
    assert (UUID(value).version, UUID(value).variant) == (7, RFC_4122)


def test_a_thousand_ids_are_all_different() -> None:
    assert len({new_id("ord") for _ in range(1_000)}) == 1_000
