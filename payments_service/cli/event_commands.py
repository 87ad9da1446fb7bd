"""Commands about events and the service's state: what each takes; event_calls.py and stream_tail.py do it.

What a command needs is imported when it runs: `payments --help` waits for none of it.
"""

from typing import Annotated

import typer

from payments_service.cli.option_types import EventTypeWord, JsonFlag, Limit, PageToken, StripeEventWord


def events(  # noqa: PLR0913, PLR0917  # one option each
    state: Annotated[list[StripeEventWord] | None, typer.Option(help="In this state; several.")] = None,
    type_: Annotated[str, typer.Option("--type", help="Such as checkout.session.completed.")] = "",
    order: Annotated[str, typer.Option(help="Of this order (ord_...).")] = "",
    limit: Limit = 20,
    page_token: PageToken = "",
    as_json: JsonFlag = False,
) -> None:
    """List Stripe's events with what became of each, newest first."""
    from payments_service.cli.event_calls import EventQuery, list_stripe_events

    list_stripe_events(EventQuery(state or (), type_, order, limit, page_token), as_json=as_json)


def replay(
    event: Annotated[list[str] | None, typer.Argument(metavar="EVENT...", help="Stripe's ids (evt_...).")] = None,
    state: Annotated[list[StripeEventWord] | None, typer.Option(help="All in this state; several.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Work on Stripe's events again and show what that changes."""
    if bool(event) == bool(state):
        raise typer.BadParameter("name events, or a --state of which to take all", param_hint="EVENT...")
    from payments_service.cli.event_calls import replay_stripe_events

    replay_stripe_events(event or (), state or (), dry_run=dry_run, as_json=as_json)


EVENT_TYPES = f"All but unclaimed where none is named. Any of {', '.join(EventTypeWord)}."


def tail(  # noqa: PLR0913, PLR0917  # one option each
    start: Annotated[
        str,
        typer.Option("--from", metavar="START", help="earliest, latest, a cursor, or a time such as 2026-11-24T10:00."),
    ] = "latest",
    organization: Annotated[list[str] | None, typer.Option("--organization", "-o", help="Of these only.")] = None,
    purchase_type: Annotated[list[str] | None, typer.Option("--type", help="course, digital_good, ...")] = None,
    event: Annotated[list[EventTypeWord] | None, typer.Option(metavar="EVENT", help=EVENT_TYPES)] = None,
    order: Annotated[list[str] | None, typer.Option(help="Of these orders only (ord_...).")] = None,
    follow: Annotated[bool, typer.Option(help="Wait for more, or end with what there is.")] = True,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="End after so many.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show fulfillment events as they happen; goes on by itself after a lost connection."""
    from payments_service.cli.stream_tail import TailOptions, run_tail

    run_tail(
        TailOptions(
            start=start,
            organizations=organization or (),
            purchase_types=purchase_type or (),
            event_types=event or (),
            orders=order or (),
            follow=follow,
            limit=limit,
            as_json=as_json,
        )
    )


def status(as_json: JsonFlag = False) -> None:
    """Show how the service is doing."""
    from payments_service.cli.event_calls import get_status

    get_status(as_json=as_json)
