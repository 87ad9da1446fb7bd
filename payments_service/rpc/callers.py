"""Who calls: resolved from a bearer token by the callers file, which is read again while the service runs.

A changed file is taken up within two seconds; an invalid one keeps the last good one. Tokens are known by their
SHA-256 alone, compared in constant time, and never logged.
"""

import asyncio
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from payments_service.errors import ConfigurationError, UnauthenticatedError
from payments_service.rpc.callers_file import CallerEntry, CallersFile, parse_callers_file
from payments_service.scope import EVERYTHING, Caller

POLL_SECONDS = 0.5
ANONYMOUS = Caller(name="anonymous", operator=True, scope=EVERYTHING)
_UNKNOWN = (
    "No known caller stands behind this call: send `authorization: Bearer <token>` with a token of the callers file."
)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a call brings to prove who makes it; a client certificate would be one more field."""

    authorization: str = field(default="", repr=False)


class CallerResolver(Protocol):
    """Says who calls; the file of bearer tokens today, mTLS or a JWT behind the same seam."""

    def resolve(self, credentials: Credentials) -> Caller:
        """Give the caller; raises UnauthenticatedError where there is none."""

    def stripe_account(self, organization_id: str) -> str:
        """Name the connected account by which an organization sells, empty for our own."""

    def sells_by(self, account: str) -> bool:
        """Say whether any organization sells by a connected account."""

    def stripe_accounts(self) -> list[str]:
        """List the connected accounts that organizations sell by."""


class AnyCaller:
    """Lets everybody do everything; the settings allow it on loopback only."""

    def resolve(self, credentials: Credentials) -> Caller:  # noqa: ARG002, RUF100  # the protocol's argument
        """Give the one anonymous caller."""
        return ANONYMOUS

    def stripe_account(self, organization_id: str) -> str:  # noqa: ARG002, RUF100  # the protocol's argument
        """Sell by our own account."""
        return ""

    def sells_by(self, account: str) -> bool:  # noqa: ARG002, RUF100  # the protocol's argument
        """Sell by our own account."""
        return False

    def stripe_accounts(self) -> list[str]:
        """Sell by our own account."""
        return []


class KnownCallers:
    """The callers of a file, as it was when it was last good."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises ConfigurationError where it cannot be used."""
        self._path = path
        self._seen = self._taken = _read(path)
        self._use(parse_callers_file(self._taken, path))

    def resolve(self, credentials: Credentials) -> Caller:
        """Find whose token it is; raises UnauthenticatedError."""
        scheme, _, token = credentials.authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise UnauthenticatedError(_UNKNOWN)
        digest = hashlib.sha256(token.strip().encode()).digest()
        found = None
        # Every token is compared: the time must not tell how far the search went.
        for known, caller in self._tokens:
            if hmac.compare_digest(known, digest):
                found = caller
        if found is None:
            raise UnauthenticatedError(_UNKNOWN)
        return found

    def stripe_account(self, organization_id: str) -> str:
        """Name the connected account by which an organization sells, empty for our own."""
        return self._accounts.get(organization_id, "")

    def sells_by(self, account: str) -> bool:
        """Say whether any organization sells by a connected account."""
        return account in self._accounts.values()

    def stripe_accounts(self) -> list[str]:
        """List the connected accounts that organizations sell by."""
        return sorted(set(self._accounts.values()))

    async def follow(self) -> None:
        """Take the file up whenever it has changed, until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            self.reload()

    def reload(self) -> None:
        """Look at the file once; a change counts when two looks see the same, so that half a file never does."""
        content = self._content()
        settled, self._seen = content == self._seen, content
        if settled and content != self._taken:
            self._taken = content
            self._take_up(content)

    def _take_up(self, content: bytes) -> None:
        try:
            parsed = parse_callers_file(content, self._path)
        except ConfigurationError as error:
            _log.error("callers.kept_last_good", error=error.message)
            return
        self._use(parsed)
        _log.info("callers.reloaded", callers=len(parsed.callers))

    def _content(self) -> bytes:
        """Give what is there now; a file that cannot be read counts as an empty one, which names no caller."""
        try:
            return self._path.read_bytes()
        except OSError:
            return b""

    def _use(self, parsed: CallersFile) -> None:
        self._tokens = [(digest, _caller(entry)) for entry in parsed.callers for digest in entry.token_digests]
        self._accounts = dict(parsed.stripe_accounts)


@contextlib.asynccontextmanager
async def open_callers(path: Path | None) -> AsyncIterator[CallerResolver]:
    """Open the callers file and follow its changes; without one, everybody is the anonymous caller."""
    if path is None:
        yield AnyCaller()
        return
    callers = KnownCallers(path)
    following = asyncio.create_task(callers.follow())
    try:
        yield callers
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


def read_callers(path: Path) -> CallersFile:
    """Read the file once; raises ConfigurationError where it cannot be used."""
    return parse_callers_file(_read(path), path)


def _caller(entry: CallerEntry) -> Caller:
    return Caller(name=entry.name, operator=entry.operator, scope=entry.scope)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"PAYMENTS_CALLERS_FILE: {path} cannot be read ({error.strerror}): name a file that this process can read."
        ) from error
