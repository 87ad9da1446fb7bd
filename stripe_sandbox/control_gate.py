"""What every control under `/_sandbox` passes: JSON in and out, and a refusal that says what it takes."""

import json
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stripe_sandbox.api_error import StripeApiError
from stripe_sandbox.change import NotPlayedError, WrongStateError
from stripe_sandbox.fault_plan import FaultError
from stripe_sandbox.json_types import JsonObject

Control = Callable[[Request, JsonObject], JsonObject]


class BadControlError(Exception):
    """Raised when a control's body is not what it takes; the message says what it takes."""


def checked_body(body: JsonObject, takes: str, **kinds: type | tuple[type, ...]) -> JsonObject:
    """Give a body whose fields are all known and of their kinds; true and false are no numbers."""
    for name, value in body.items():
        known = kinds.get(name)
        if known is None or not isinstance(value, known) or (isinstance(value, bool) and known is not bool):
            raise BadControlError(f"It takes {takes}; {name!r} is {json.dumps(value)[:100]}.")
    return body


def control_route(method: str, path: str, control: Control) -> Route:
    """Serve a control."""

    async def answer(request: Request) -> Response:
        try:
            return JSONResponse(control(request, await _body(request)))
        except (BadControlError, FaultError) as error:
            return _refused(400, str(error))
        except WrongStateError as error:
            return _refused(409, str(error))
        except NotPlayedError as error:
            return _refused(501, str(error))
        except StripeApiError as error:
            return _refused(error.status, error.message)

    endpoint: Callable[[Request], Awaitable[Response]] = answer
    return Route(path, endpoint, methods=[method])


async def _body(request: Request) -> JsonObject:
    raw = await request.body()
    try:
        body = json.loads(raw) if raw.strip() else {}
    except ValueError as error:
        raise BadControlError(f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadControlError("The body is not a JSON object.")
    return body


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message}}, status)
