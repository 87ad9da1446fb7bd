"""Reads a request's parameters by Stripe's types and turns what does not fit into Stripe's errors, naming the field."""

from collections.abc import Mapping
from typing import cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stripe_sandbox.api_error import StripeApiError, missing_parameter
from stripe_sandbox.bracket_form import FormValue
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.parameter_types import parameter_adapter

_OURS = ("stripe_int", "stripe_bool", "stripe_array", "stripe_text")


def check_parameters(operation: str, form: Mapping[str, FormValue]) -> JsonObject:
    """Give the typed parameters, or refuse the first fault: unknown names first, then missing, then bad ones."""
    try:
        return parameter_adapter(operation).validate_python(form)
    except ValidationError as error:
        # A union reports each member that did not fit: the deepest one is the one that was meant.
        found = error.errors(include_url=False)
        raise _stripe_error(min(found, key=lambda e: _rank(e, form)), form) from error


def bracketed(path: list[str]) -> str:
    """Write a path as Stripe does: `line_items[0][price]`."""
    return path[0] + "".join(f"[{part}]" for part in path[1:]) if path else ""


def _rank(error: ErrorDetails, form: Mapping[str, FormValue]) -> tuple[int, int]:
    order = {"extra_forbidden": 0, "missing": 1}.get(error["type"], 2)
    return order, -len(_path(error, form)[0])


def _path(error: ErrorDetails, form: Mapping[str, FormValue]) -> tuple[list[str], FormValue]:
    """Leave out what pydantic adds to a place (the names of a union's members), and find the value there."""
    path: list[str] = []
    node: FormValue = cast("FormValue", form)
    for part in map(str, error["loc"]):
        if isinstance(node, dict) and part in node:
            path.append(part)
            node = node[part]
    if error["type"] == "missing":
        path.append(str(error["loc"][-1]))
    return path, node


def _stripe_error(error: ErrorDetails, form: Mapping[str, FormValue]) -> StripeApiError:
    path, value = _path(error, form)
    param = bracketed(path)
    if error["type"] == "extra_forbidden":
        return StripeApiError(f"Received unknown parameter: {param}", code="parameter_unknown", param=param)
    if error["type"] == "missing":
        return missing_parameter(param)
    if value == "":
        return _empty(param)
    if error["type"] == "literal_error":
        expected = error.get("ctx", {}).get("expected", "").replace("'", "").replace(" or ", ", or ")
        return StripeApiError(f"Invalid {param}: must be one of {expected}", param=param)
    code = "parameter_invalid_integer" if error["type"] == "stripe_int" else None
    message = error["msg"] if error["type"] in _OURS else _wrong_shape(value, param)
    return StripeApiError(message, code=code, param=param)


def _wrong_shape(value: FormValue, param: str) -> str:
    return f"Invalid string: {param}" if isinstance(value, dict) else f"Invalid object: {param}"


def _empty(param: str) -> StripeApiError:
    message = (
        f"You passed an empty string for '{param}'. We assume empty values are an attempt to unset a parameter; "
        f"however '{param}' cannot be unset. You should remove '{param}' from your request or supply a non-empty value."
    )
    return StripeApiError(message, code="parameter_invalid_empty", param=param)
