"""Names the fulfiller of each purchase type: our own, or a plug-in that is installed beside the service."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from payments_service.errors import ConfigurationError
from payments_service.fulfillment.grant import granting
from payments_service.fulfillment.handoff import hand_off
from payments_service.fulfillment.outcome import LocalFulfiller
from payments_service.fulfillment.plugin import ENTRY_POINT_GROUP, FulfillerPlugin

GRANTED = frozenset({"course", "digital_good"})
DEFAULT_GRACE_DAYS = 3


class FulfillerRegistry:
    """A type that nobody names is a custom one, and goes to its owner."""

    def __init__(self, plugins: Mapping[str, FulfillerPlugin], grace_days: int = DEFAULT_GRACE_DAYS) -> None:
        """Take the plug-ins by purchase type; one may stand in for a built-in fulfiller."""
        self._plugins = dict(plugins)
        self._grant = granting(grace_days)

    @property
    def plugin_types(self) -> tuple[str, ...]:
        """The purchase types that plug-ins fulfill."""
        return tuple(self._plugins)

    def plugin_of(self, purchase_type: str) -> FulfillerPlugin | None:
        """Find the plug-in of a type."""
        return self._plugins.get(purchase_type)

    def local_of(self, purchase_type: str) -> LocalFulfiller:
        """Find our own fulfiller of a type."""
        return self._grant if purchase_type in GRANTED else hand_off


def load_registry(grace_days: int = DEFAULT_GRACE_DAYS) -> FulfillerRegistry:
    """Load the installed plug-ins; raises ConfigurationError naming the one that is broken or doubled."""
    plugins: dict[str, FulfillerPlugin] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name in plugins:
            raise ConfigurationError(f"Two installed plug-ins fulfill {point.name!r}: uninstall one of them.")
        plugins[point.name] = _load(point)
    return FulfillerRegistry(plugins, grace_days)


def _load(point: EntryPoint) -> FulfillerPlugin:
    try:
        plugin = point.load()()
    except Exception as error:
        raise ConfigurationError(f"The plug-in {point.name!r} ({point.value}) cannot be loaded: {error}") from error
    if not isinstance(plugin, FulfillerPlugin):
        raise ConfigurationError(f"The plug-in {point.name!r} ({point.value}) needs `fulfill` and `revoke`.")
    return plugin
