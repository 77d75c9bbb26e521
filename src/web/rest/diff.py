"""A job's diff over REST: `GET /api/jobs/{id}/diff`, as one unified patch or as JSON.

The patch is what `git apply` takes on the base that the job started from: the patches of all files, joined. Before the
first, in comments, which git skips, are named the files whose patches were left out, so that no limit is hidden (trap
33), and those in which secrets were masked: applied, they would write the masks. JSON is
`{"files": [entry, …], "additions", "deletions"}`, asked for by `Accept: application/json` or `?format=json`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from fantail.broker.documents.diffs import files_in
from fantail.web.errors import bad_request
from fantail.web.http.json_response import HEADERS, json_response
from fantail.web.rest.request import flag, seen_job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from fantail.web.context import Context


async def answer_diff(context: Context, request: Request) -> Response:
    """Answers `GET /api/jobs/{id}/diff`."""
    as_json, as_file = _wants_json(request), flag(request, "download")
    async with seen_job(context.broker, request) as job, context.broker.watch_diff(job) as diff:
        entries = list(files_in(diff).values())
        job_id = job.id
    headers = {"Vary": "Accept"}
    if as_json:
        sums = {name: sum(entry[name] for entry in entries) for name in ("additions", "deletions")}
        return json_response({"files": entries, **sums}, headers=headers)
    if as_file:
        # The grammar of ids leaves nothing that would have to be escaped in a file's name.
        headers["Content-Disposition"] = f'attachment; filename="{job_id}.diff"'
    return Response(patch_of(entries), headers={**HEADERS, **headers}, media_type="text/x-diff")


def patch_of(entries: Sequence[Mapping[str, Any]]) -> bytes:
    """All entries as one patch; what is left out, and what is masked, is named before it."""
    masked = [
        f"# masked: {json.dumps(entry['file'])} has secrets that are not shown; do not apply its patch\n"
        for entry in entries
        if entry.get("masked")
    ]
    left_out = [
        f"# left out ({_in_comment(entry['omitted'])}): {json.dumps(entry['file'])},"
        f" +{entry['additions']} -{entry['deletions']}\n"
        for entry in entries
        if entry.get("omitted")
    ]
    patches = [_whole_lines(str(entry["diff"])) for entry in entries]
    return "".join(left_out + masked + patches).encode("utf-8", "replace")


def _in_comment(text: str) -> str:
    """Escapes a producer's text as JSON does, in ASCII, so that it stays within one line of the patch."""
    return json.dumps(text)[1:-1]


def _whole_lines(patch: str) -> str:
    """A patch that another begins behind."""
    return patch if patch.endswith("\n") or not patch else patch + "\n"


def _wants_json(request: Request) -> bool:
    given = request.query_params.get("format")
    if given not in (None, "json", "diff"):
        raise bad_request("`format` may be json or diff")
    accepted = request.headers.get("accept", "")
    return given == "json" or (given is None and "application/json" in accepted and "text/x-diff" not in accepted)
