"""A job as the REST API shows it, and as it takes it: camelCase outside, the strings of a Redis hash inside.

Outside, numbers are numbers (`linesAdded` and `linesRemoved` 0 where absent), `branch` and `status` are always strings,
what is absent is left out. Names nobody knows go through, in camelCase too.

What a client may set: any field but the ones it would lie with. `id` is the path's, `user_id` the token's, `lease_s` is
a runner's that holds a lease, and `stale` and `output_expired` are found out by the server; given in a body they are
left aside, so that a client may send back what it was given. Names are taken in either case.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from fantail.broker.jobs import number
from fantail.web.errors import bad_request
from fantail.web.limits import FIELD_NAME_CHARS_MAX, FIELDS_MAX, STATUS_CHARS_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fantail.broker.jobs import JobKind

NUMBERS: Final = frozenset(
    {
        "lines_added",
        "lines_removed",
        "created_at",
        "started_at",
        "finished_at",
        "exit_code",
        "updated_at",
        "lease_s",
        "fields_left_out",
    }
)
NOT_THE_CLIENTS: Final = frozenset({"id", "user_id", "stale", "output_expired", "lease_s", "fields_left_out"})

_NAME: Final = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{FIELD_NAME_CHARS_MAX - 1}}}", re.ASCII)
_STATUS: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{STATUS_CHARS_MAX - 1}}}", re.ASCII)
_HUMP: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
_LOW: Final = re.compile(r"_+([a-z0-9])")


def camel(name: str) -> str:
    """`started_at` → `startedAt`."""
    return _LOW.sub(lambda match: match[1].upper(), name)


def snake(name: str) -> str:
    """`startedAt` → `started_at`; what is in snake_case stays."""
    return _HUMP.sub(lambda match: f"_{match[1].lower()}", name)


def shown(job_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A job or a row of the jobs table, as clients get it.

    Args:
        job_id: wins over a field `id`, which a producer may have got wrong.
        fields: a hash's members in snake_case.
    """
    job: dict[str, Any] = {"id": job_id, "status": "", "branch": "", "linesAdded": 0, "linesRemoved": 0}
    for name, value in fields.items():
        if name == "id" or value is None:
            continue
        if name in NUMBERS:
            value = number(str(value))  # noqa: PLW2901
            if value is None:
                continue
        job[camel(name)] = value
    return job


def taken(given: Any) -> dict[str, str | None]:
    """The fields of a request's body, as a hash has them; None removes one.

    Raises:
        ProblemError: 400, it is no object of names and plain values.
    """
    if not isinstance(given, dict):
        raise bad_request("The body must be a JSON object")
    if len(given) > FIELDS_MAX:
        raise bad_request(f"A job has at most {FIELDS_MAX} fields")
    fields: dict[str, str | None] = {}
    for name, value in given.items():
        if _NAME.fullmatch(name) is None:
            raise bad_request(f"Not a field's name: {name[:FIELD_NAME_CHARS_MAX]!r}")
        if snake(name) not in NOT_THE_CLIENTS:
            fields[snake(name)] = _written(name, value)
    status = fields.get("status")
    if "status" in fields and (status is None or _STATUS.fullmatch(status) is None):
        raise bad_request("A status is a short word such as `running`")
    return fields


def with_times(
    fields: Mapping[str, str | None], before: Mapping[str, Any], kind: JobKind, now_ms: int
) -> dict[str, str | None]:
    """Adds when it started or finished to a change of status, where the client does not say."""
    status = fields.get("status")
    times: dict[str, str | None] = {}
    if status == "running":
        if "started_at" not in before:
            times["started_at"] = str(now_ms)
        if "finished_at" in before:
            times["finished_at"] = None
    elif status in kind.terminal and status != before.get("status"):
        times["finished_at"] = str(now_ms)
    return {**times, **fields}


def _written(name: str, value: Any) -> str | None:
    """A member as a hash has it: all of them are strings there, and an empty one is absent."""
    match value:
        case None | "":
            return None
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return str(int(value)) if value.is_integer() else repr(value)
        case _:
            raise bad_request(f"`{name}` must be a text, a number, true, false or null")
