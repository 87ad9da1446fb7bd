"""Where webhooks go and what signs them: the endpoint of the settings, and those made by the API; it sends nothing."""

from dataclasses import dataclass

from stripe_sandbox.configuration import SandboxConfig, SandboxRefusedError
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.ledger import Ledger

KIND = "webhook_endpoint"
# The endpoint of the settings, which Stripe's API does not list.
CONFIGURED = "we_configured"


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """An endpoint; without an address its deliveries wait for one."""

    endpoint: str
    url: str
    secret: str


class WebhookTargets:
    """The endpoints of the account; the address of the configured one may come later than the events."""

    def __init__(self, ledger: Ledger, config: SandboxConfig) -> None:
        self._ledger = ledger
        self._secret = config.webhook_secrets[0] if config.webhook_secrets else ""
        self.url = config.webhook_url

    def move(self, url: str) -> None:
        """Send to another address from now on."""
        if not self._secret:
            raise SandboxRefusedError("The sandbox has no secret to sign webhooks with: give it a webhook secret.")
        self.url = url

    def all(self) -> list[WebhookTarget]:
        """Name every endpoint that could get something."""
        configured = [WebhookTarget(CONFIGURED, self.url, self._secret)] if self._secret else []
        return configured + [WebhookTarget(e["id"], e["url"], e["secret"]) for e in self._made()]

    def listening(self, event: JsonObject) -> list[str]:
        """Name the endpoints that an event is for: the configured one takes all, also of connected accounts."""
        made = [endpoint["id"] for endpoint in self._made() if _listens(endpoint, event)]
        return ([CONFIGURED] if self._secret else []) + made

    def _made(self) -> list[JsonObject]:
        return [endpoint for endpoint in self._ledger.select(KIND) if endpoint["status"] == "enabled"]


def _listens(endpoint: JsonObject, event: JsonObject) -> bool:
    enabled = endpoint["enabled_events"]
    return ("*" in enabled or event["type"] in enabled) and endpoint["connect"] == ("account" in event)
