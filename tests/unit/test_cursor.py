"""A cursor comes back as it was made, and anything else is refused with a typed error."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_service.errors import CursorInvalidError
from payments_service.event_log.cursor import cursor_at, decode_cursor, encode_cursor

cursors = st.builds(cursor_at, st.uuids(), st.integers(0, 2**63 - 1), st.text(st.characters(codec="ascii")))


@given(cursors.map(encode_cursor))
def test_a_cursor_is_read_as_it_was_made(token: bytes) -> None:
    assert encode_cursor(decode_cursor(token)) == token
    assert len(token) == 37


@given(cursors.map(encode_cursor), st.data())
def test_a_changed_byte_is_refused(token: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(token) - 1))
    changed = token[:at] + bytes([token[at] ^ data.draw(st.integers(1, 255))]) + token[at + 1 :]

    with pytest.raises(CursorInvalidError):
        decode_cursor(changed)


@given(st.binary(max_size=80))
def test_foreign_bytes_are_refused(token: bytes) -> None:
    with pytest.raises(CursorInvalidError, match="not a cursor of this service"):
        decode_cursor(token)


@given(st.uuids(), st.integers(1, 2**63 - 1))
def test_another_event_at_the_same_position_has_another_cursor(log_id: UUID, position: int) -> None:
    one = cursor_at(log_id, position, "fev_1")

    assert one != cursor_at(log_id, position, "fev_2")
