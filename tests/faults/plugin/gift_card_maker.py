"""A plug-in with a world of its own: it writes each card down, and where it is told to its process dies right then."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from payments_service.fulfillment.plugin import FulfillmentTask

CARDS = "GIFT_CARDS"
DOOM = "GIFT_CARD_DOOM"


class GiftCardMaker:
    """Makes cards, deduplicated by nobody."""

    def __init__(self) -> None:
        self._cards = Path(os.environ[CARDS])
        self._doom = Path(os.environ[DOOM])

    async def fulfill(self, task: FulfillmentTask) -> Mapping[str, str]:
        """Make one."""
        with self._cards.open("a") as file:
            file.write(f"{task.idempotency_key}\n")
        if self._doom.exists():
            self._doom.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"card": task.idempotency_key}

    async def revoke(self, task: FulfillmentTask) -> None:
        """Take it back."""
