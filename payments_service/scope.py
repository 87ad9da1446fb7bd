"""What a caller may see: code that reads rows takes a Scope as an argument that cannot be forgotten."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """Organizations and purchase types that a caller may touch; None means all of them."""

    organizations: frozenset[str] | None
    purchase_types: frozenset[str] | None

    def within(self, other: "Scope") -> "Scope":
        """Give what both allow."""
        return Scope(_both(self.organizations, other.organizations), _both(self.purchase_types, other.purchase_types))

    def covers(self, other: "Scope") -> bool:
        """Say whether this scope allows all that another does."""
        return self.within(other) == other

    def holds(self, organization_id: str, purchase_type: str) -> bool:
        """Say whether a row of this organization and type exists for the caller."""
        return self.holds_organization(organization_id) and self.holds_type(purchase_type)

    def holds_organization(self, organization_id: str) -> bool:
        """Say whether the caller may touch this organization at all."""
        return self.organizations is None or organization_id in self.organizations

    def holds_type(self, purchase_type: str) -> bool:
        """Say whether the caller may touch this purchase type at all."""
        return self.purchase_types is None or purchase_type in self.purchase_types


def _both(some: frozenset[str] | None, others: frozenset[str] | None) -> frozenset[str] | None:
    if some is None or others is None:
        return others if some is None else some
    return some & others


EVERYTHING = Scope(organizations=None, purchase_types=None)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: resolved once per call from a token today, from mTLS or a JWT behind the same seam."""

    name: str
    operator: bool
    scope: Scope
