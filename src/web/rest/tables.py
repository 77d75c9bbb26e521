"""`POST /api/tables/{table}`: an admin writes a row of a table.

The body is `{"operation":"insert"|"update"|"delete","id":…,"data":{…}}`.

It is written to the truth through the ledger and comes back to every watcher of `/api/events/` as a change. The one
door by which a row may be given an owner other than whoever asks; hence for admins only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fantail.broker import ChangeKind, DatabaseChange, InvalidIdError, NotFoundError
from fantail.broker.jobs import checked_id
from fantail.web.auth.viewer import admin_required
from fantail.web.errors import bad_request
from fantail.web.http.json_response import json_response
from fantail.web.limits import FIELD_NAME_CHARS_MAX, FIELDS_MAX
from fantail.web.rest.request import document

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from fantail.web.context import Context

OPERATIONS: Final = ", ".join(f"`{kind}`" for kind in ChangeKind)


async def answer_change_table(context: Context, request: Request) -> Response:
    """Answers `POST /api/tables/{table}`."""
    admin_required(request.scope)
    table = request.path_params["table"]
    if table not in context.broker.tables.names:
        raise NotFoundError("Table")
    change = change_of(table, await document(request))
    await context.broker.ledger.change_table(change)
    return json_response({"table": table, "operation": change.operation, "id": change.id})


def change_of(table: str, given: Any) -> DatabaseChange:
    """The change that a body asks for.

    Raises:
        ProblemError: 400, it asks for none.
    """
    if not isinstance(given, dict):
        raise bad_request("The body must be a JSON object")
    try:
        operation = ChangeKind(str(given.get("operation")))
    except ValueError:
        raise bad_request(f"`operation` must be one of {OPERATIONS}") from None
    try:
        row_id = checked_id(given["id"] if isinstance(given.get("id"), str) else "")
    except InvalidIdError:
        raise bad_request("`id` must be 1 to 128 of A-Z a-z 0-9 . _ - and begin with a letter or a digit") from None
    if operation is ChangeKind.DELETE:
        return DatabaseChange(table, operation, row_id)
    return DatabaseChange(table, operation, row_id, _members(given.get("data")))


def _members(data: Any) -> dict[str, str | int | float | bool | None]:
    if not isinstance(data, dict) or not data:
        raise bad_request("`data` must be an object of the row's fields")
    if len(data) > FIELDS_MAX:
        raise bad_request(f"A row has at most {FIELDS_MAX} fields")
    for name, value in data.items():
        if not 0 < len(name) <= FIELD_NAME_CHARS_MAX:
            raise bad_request(f"A field's name has 1 to {FIELD_NAME_CHARS_MAX} characters")
        if isinstance(value, dict | list):
            raise bad_request(f"`{name}` must be a text, a number, true, false or null")
    return data
