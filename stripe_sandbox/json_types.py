"""The one type for JSON objects, as the sandbox keeps and sends them."""

from typing import Any

JsonObject = dict[str, Any]
