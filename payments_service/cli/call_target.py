"""Where the command line calls and how: the address, TLS or plain text, and the token that goes with it."""

from dataclasses import dataclass, field

from payments_service.errors import ConfigurationError
from payments_service.settings import LOOPBACK_HOSTS, Settings, split_address

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  # listened on, never called


@dataclass(frozen=True, slots=True)
class CallTarget:
    """One service to call."""

    address: str
    secure: bool = False
    root_certificates: bytes | None = None
    """Whom to trust; None for whom this machine trusts."""
    token: str = field(default="", repr=False)

    @property
    def loopback(self) -> bool:
        """Whether it is this machine."""
        return split_address(self.address)[0] in LOOPBACK_HOSTS


def call_target(settings: Settings) -> CallTarget:
    """Read PAYMENTS_TARGET, `host:port` or `https://host:port`; raises ConfigurationError."""
    secure, address = _scheme(settings)
    target = CallTarget(
        address=_address(address),
        secure=secure,
        root_certificates=_root_certificates(settings) if secure else None,
        token=settings.token.get_secret_value(),
    )
    if target.token and not (target.secure or target.loopback or settings.plaintext):
        raise ConfigurationError(
            f"PAYMENTS_TOKEN would cross the network readable to {target.address}: write PAYMENTS_TARGET as "
            "https://host:port, or set PAYMENTS_PLAINTEXT=1 where a mesh encrypts."
        )
    return target


def local_address(address: str) -> str:
    """Give where a process that listens at an address is called from this machine."""
    host, port = split_address(address)
    return f"{_EVERYWHERE.get(host, host)}:{port}"


def _scheme(settings: Settings) -> tuple[bool, str]:
    if not settings.target:
        return settings.tls_cert is not None, settings.grpc_address
    scheme, separator, address = settings.target.rpartition("://")
    if scheme not in {"", "http", "https"} or (separator and not scheme):
        raise ConfigurationError(f"PAYMENTS_TARGET: {settings.target!r} is neither host:port nor https://host:port.")
    return scheme == "https", address.rstrip("/") if separator else address


def _address(address: str) -> str:
    try:
        host, port = split_address(address)
    except ValueError as error:
        raise ConfigurationError(f"PAYMENTS_TARGET: {error}.") from error
    if port == 0:
        raise ConfigurationError(
            "PAYMENTS_GRPC_ADDRESS takes any free port (0): set PAYMENTS_TARGET to the address that the service "
            "printed when it started."
        )
    return f"{_EVERYWHERE.get(host, host)}:{port}"


def _root_certificates(settings: Settings) -> bytes | None:
    if settings.tls_cert is None:
        return None
    try:
        return settings.tls_cert.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"PAYMENTS_TLS_CERT: {settings.tls_cert} cannot be read ({error.strerror}): name the PEM file to trust."
        ) from error
