"""Reads the callers file strictly: what is not understood is refused, with the entry and what to write there.

An entry that was read as less than it meant would lock a service out; as more, it would let one in.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from payments_service.errors import ConfigurationError
from payments_service.scope import Scope

ALL = "*"
ROLES = ("caller", "operator")
_CALLER_KEYS = frozenset({"name", "token_sha256", "role", "organizations", "purchase_types"})
_ORGANIZATION_KEYS = frozenset({"id", "stripe_account"})
Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallerEntry:
    """One caller of the file; without a token nobody can call as it."""

    name: str
    token_digests: tuple[bytes, ...]
    operator: bool
    scope: Scope


@dataclass(frozen=True, slots=True)
class CallersFile:
    """A callers file that is valid as a whole."""

    callers: tuple[CallerEntry, ...]
    stripe_accounts: Mapping[str, str]


class _EntryError(Exception):
    """Raised while reading, with the entry and what is wrong; the path is put before it."""


def parse_callers_file(content: bytes, path: Path) -> CallersFile:
    """Read the file; raises ConfigurationError that names the file, the entry and what to do."""
    try:
        document = tomllib.loads(content.decode())
        _known_keys(document, frozenset({"callers", "organizations"}), "the file")
        callers = tuple(_caller(entry, at) for entry, at in _tables(document, "callers"))
        if not callers:
            raise _EntryError("it names no caller: add a [[callers]] entry")
        _unique(callers)
        return CallersFile(callers, _stripe_accounts(document))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"PAYMENTS_CALLERS_FILE: {path} is not TOML: {error}.") from error
    except _EntryError as error:
        raise ConfigurationError(f"PAYMENTS_CALLERS_FILE: {path}: {error}.") from error


def _caller(entry: Table, at: str) -> CallerEntry:
    at = f"{at} ({entry['name']!r})" if isinstance(entry.get("name"), str) else at
    _known_keys(entry, _CALLER_KEYS, at)
    role = _text(entry, "role", at)
    if role not in ROLES:
        raise _EntryError(f'{at}: role is {role!r}: write "caller" or "operator"')
    return CallerEntry(
        name=_text(entry, "name", at),
        token_digests=tuple(_digest(text, at) for text in _texts(entry, "token_sha256", at)),
        operator=role == "operator",
        scope=Scope(
            organizations=_names_or_all(entry, "organizations", at),
            purchase_types=_names_or_all(entry, "purchase_types", at),
        ),
    )


def _stripe_accounts(document: Table) -> dict[str, str]:
    accounts: dict[str, str] = {}
    for entry, at in _tables(document, "organizations"):
        _known_keys(entry, _ORGANIZATION_KEYS, at)
        organization_id, account = _text(entry, "id", at), _text(entry, "stripe_account", at)
        if organization_id in accounts:
            raise _EntryError(f"{at}: the organization {organization_id!r} comes twice: keep one entry")
        if not account.startswith("acct_"):
            raise _EntryError(f"{at}: stripe_account is {account!r}: write a connected account's id (acct_...)")
        accounts[organization_id] = account
    return accounts


def _unique(callers: tuple[CallerEntry, ...]) -> None:
    names: set[str] = set()
    owners: dict[bytes, str] = {}
    for caller in callers:
        if caller.name in names:
            raise _EntryError(f"two callers are named {caller.name!r}: give each a name of its own")
        names.add(caller.name)
        for digest in caller.token_digests:
            if digest in owners:
                raise _EntryError(f"{owners[digest]!r} and {caller.name!r} share a token: give each its own")
            owners[digest] = caller.name


def _tables(document: Table, key: str) -> Iterator[tuple[Table, str]]:
    entries = document.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _EntryError(f"{key} is not a list of tables: write [[{key}]] above each entry")
    for number, entry in enumerate(entries):
        yield entry, f"{key}[{number}]"


def _known_keys(table: Table, known: frozenset[str], at: str) -> None:
    for key in table:
        if key not in known:
            raise _EntryError(f"{at}: {key!r} is no key that is known here: it takes {', '.join(sorted(known))}")


def _text(table: Table, key: str, at: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        raise _EntryError(f'{at}: {key} is missing or no text: write {key} = "..."')
    return value


def _texts(table: Table, key: str, at: str) -> list[str]:
    value = table.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise _EntryError(f'{at}: {key} is missing or no list of texts: write {key} = ["..."]')
    return value


def _names_or_all(table: Table, key: str, at: str) -> frozenset[str] | None:
    names = _texts(table, key, at)
    if names == [ALL]:
        return None
    if not names or ALL in names:
        raise _EntryError(f'{at}: {key} must name some, or be ["*"] alone for all')
    return frozenset(names)


def _digest(text: str, at: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        # The text is not shown: somebody may have pasted the token itself.
        raise _EntryError(f"{at}: a token_sha256 is not the 64 hex digits of `printf %s TOKEN | sha256sum`")
    return digest
