"""Reads the certificate and key that gRPC listens with, and what a client will see of them; it opens no port.

A pair that cannot work is refused before anything is opened, with the variable to change.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from payments_service.errors import ConfigurationError

HANDSHAKE_STEPS = 8
"""More than any version of TLS needs."""
_NOT_YET_VALID, _EXPIRED = 9, 10


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate chain and its key, as PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class SeenCertificate:
    """What a client sees of a certificate; without an end where it is not valid now."""

    expire_time: datetime | None
    fault: str = ""
    names: tuple[str, ...] = ()


def read_tls_files(certificate: Path | None, key: Path | None) -> TlsFiles | None:
    """Read the pair, None where neither is set; raises ConfigurationError where they cannot be used together."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing = "PAYMENTS_TLS_CERT" if certificate is None else "PAYMENTS_TLS_KEY"
        raise ConfigurationError(f"{missing} is empty: TLS needs a certificate and its key, or neither.")
    files = TlsFiles(_read("PAYMENTS_TLS_CERT", certificate), _read("PAYMENTS_TLS_KEY", key))
    _serving(certificate, key)
    return files


def see_certificate(certificate: Path, key: Path) -> SeenCertificate:
    """Shake hands with ourselves in memory; raises ConfigurationError where the pair cannot be used."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(certificate)
    # The certificate itself is trusted, whoever signed it: whom clients trust is theirs to say.
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        seen = _shake_hands(client, _serving(certificate, key))
    except ssl.SSLCertVerificationError as error:
        faults = {_EXPIRED: "it has expired", _NOT_YET_VALID: "it is not valid yet"}
        return SeenCertificate(None, faults.get(error.verify_code, error.verify_message))
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(seen["notAfter"])), UTC)
    return SeenCertificate(end, names=tuple(str(name) for _, name in seen.get("subjectAltName", ())))


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> Mapping[str, Any]:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    calling = client.wrap_bio(to_client, to_server)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(HANDSHAKE_STEPS):
        for side in (calling, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return calling.getpeercert() or {}


def _serving(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # gRPC would only say that it cannot listen. An encrypted key must not ask on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"PAYMENTS_TLS_CERT and PAYMENTS_TLS_KEY: {certificate} and {key} are no PEM certificate "
            "and unencrypted private key that belong together."
        ) from error
    return context


def _read(variable: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{variable}: {path} cannot be read ({error.strerror}).") from error
