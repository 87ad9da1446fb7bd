"""What a call means that names no API version: such a call is of the account's own, which is older than the sandbox's.

Stripe's command line calls so. What has another name since is taken by its new one; nothing else is different.
"""

from stripe_sandbox.bracket_form import FormValue

# Gone since 2026-09-30.endive: what is left of it is a filter.
_RENAMED = {"payment_method_types": "allowed_payment_method_types"}


def in_todays_words(form: dict[str, FormValue]) -> dict[str, FormValue]:
    """Give a form with today's names."""
    return {_RENAMED.get(name, name): value for name, value in form.items()}
