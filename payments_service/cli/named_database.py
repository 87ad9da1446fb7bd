"""Names the configured database where it cannot be used: an operator has to know which of them is meant."""

from collections.abc import Iterator
from contextlib import contextmanager

from payments_service.errors import ConfigurationError, StorageUnavailableError
from payments_service.observability.logs import mask_secrets
from payments_service.settings import Settings


def database_name(settings: Settings) -> str:
    """Give the database's address without its password."""
    return mask_secrets(settings.database_url)


@contextmanager
def naming_database(settings: Settings) -> Iterator[None]:
    """Turn a database that is away into a ConfigurationError that says which, and why."""
    try:
        yield
    except StorageUnavailableError as error:
        cause = f" ({mask_secrets(str(error.__cause__))})" if error.__cause__ else ""
        raise ConfigurationError(
            f"PAYMENTS_DATABASE_URL: {database_name(settings)} cannot be reached or opened{cause}: "
            "start the database, or correct the address."
        ) from error
