"""What is written where: results to stdout, as tables or as JSON, notices and errors to stderr.

Whatever came from elsewhere is stripped of control characters first: a name must not steer a terminal.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from rich.console import Console, JustifyMethod
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 240
"""Wide enough that a row stays one line for grep."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column; it is left out where the terminal is narrower than `from_width`."""

    title: str
    from_width: int = 0
    fixed: bool = False
    """Never wrapped or cut: an id that somebody will copy."""
    number: bool = False


def output() -> Console:
    """Give the console for results."""
    return _console(stderr=False)


def notices() -> Console:
    """Give the console for whatever is no result."""
    return _console(stderr=True)


def print_json(message: Message) -> None:
    """Print a message with every field, by its name in the contract."""
    sys.stdout.write(json_text(message, indent=2) + "\n")


def print_json_line(message: Message) -> None:
    """Print a message on one line, at once."""
    sys.stdout.write(json_text(message, indent=None) + "\n")
    sys.stdout.flush()


def json_text(message: Message, *, indent: int | None) -> str:
    """Write protobuf JSON with the contract's names; empty fields stand there, so that a script finds them."""
    return MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=indent
    )


def print_table(console: Console, columns: Sequence[Column], rows: Iterable[Sequence[Text | str]]) -> None:
    """Print rows under their titles, with the columns that the width allows; nothing where there are none."""
    shown = [number for number, column in enumerate(columns) if column.from_width <= console.width]
    titles = [columns[number] for number in shown]
    cells = [[_cell(row[number]) for number in shown] for row in rows]
    table = _table(titles, cells)
    if cells and Measurement.get(console, console.options.update(width=PIPED_WIDTH), table).minimum > console.width:
        _print_records(console, titles, cells)
    elif cells:
        _print(console, table)


def print_facts(console: Console, facts: Iterable[tuple[str, Text | str]]) -> None:
    """Print names with their values, one a line, leaving out what is empty."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        if value:
            table.add_row(name, _cell(value))
    _print(console, table)


def clean(text: str) -> str:
    """Replace what is not printable; line breaks become blanks."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _table(columns: Sequence[Column], cells: Sequence[Sequence[Text]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    for column in columns:
        justify: JustifyMethod = "right" if column.number else "left"
        table.add_column(column.title, justify=justify, no_wrap=column.fixed, overflow="fold")
    for row in cells:
        table.add_row(*row)
    return table


def _print_records(console: Console, columns: Sequence[Column], cells: Sequence[Sequence[Text]]) -> None:
    """Print each row as a paragraph, where columns would be too narrow to read."""
    for number, row in enumerate(cells):
        if number:
            console.print()
        print_facts(console, ((column.title, cell) for column, cell in zip(columns, row, strict=True)))


def _print(console: Console, table: Table) -> None:
    """Print a table; without the blanks at the ends of lines where a program reads it."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    console.file.writelines(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def _cell(value: Text | str) -> Text:
    return value if isinstance(value, Text) else Text(clean(value))


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    return console
