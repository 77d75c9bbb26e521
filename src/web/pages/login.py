"""`/login` and `/logout`: a browser's way to show a token, with `FANTAIL_AUTH=jwt`.

The token is put into a cookie that scripts cannot read (HttpOnly) and that no other site's page can have sent
(SameSite=Strict), for as long as the token is valid. It comes in the body of a POST, from the form here or as JSON,
never in a URL. Afterwards the browser goes where it wanted to go: `next`, a path on this server and nothing else.

A page of another site must not sign anybody in or out either, so both look at where they come from.
"""

from __future__ import annotations

import html
import re
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, quote, urlsplit

import orjson
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from fantail.web.auth.identity import COOKIE, PageOrigins, Tokens
from fantail.web.errors import bad_request, forbidden, unauthorized
from fantail.web.http.json_response import json_response
from fantail.web.http.proxies import TrustedProxies, forwarded_scheme
from fantail.web.http.request_body import whole_body
from fantail.web.limits import LOGIN_BYTES_MAX

if TYPE_CHECKING:
    from starlette.requests import Request

    from fantail.web.auth.viewer import Viewer
    from fantail.web.context import Context

LOGIN_FIELDS_MAX: Final = 8
# `//host` and `/\host` are addresses elsewhere to a browser.
_LOCAL_PATH: Final = re.compile(r"/(?![/\\])[\x21-\x7e]{0,2000}")
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sign in to Fantail</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 15vh auto; padding: 0 1rem }}
input, button {{ font: inherit; padding: .5rem; box-sizing: border-box; width: 100%; margin-top: .5rem }}
code {{ font-size: .9em }}
</style>
</head>
<body>
<main>
<h1>Sign in</h1>
{notice}
<form method="post" action="{action}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" spellcheck="false" required autofocus>
<input name="next" type="hidden" value="{next}">
<button>Sign in</button>
</form>
<p>On the server, <code>fantail token --user NAME</code> makes one.</p>
</main>
</body>
</html>
"""


def routes(context: Context) -> list[Route]:
    """The routes of this module; without tokens there is nothing to sign in to, and they only lead to the start."""
    if context.settings.auth != "jwt":

        async def to_start(request: Request) -> Response:
            return RedirectResponse(f"{_root(request)}/", 303)

        return [Route("/login", to_start), Route("/logout", to_start, methods=["POST"])]
    desk = Desk(context)
    return [
        Route("/login", desk.answer, methods=["GET", "POST"]),
        Route("/logout", desk.sign_out, methods=["POST"]),
    ]


def login_path(request: Request) -> str:
    """Where to send somebody who has to sign in first, and wants to come back to what they asked for."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{_root(request)}/login?next={quote(wanted, safe='/')}"


def local_path(text: str, otherwise: str) -> str:
    """The text if it is a path on this server; nobody is sent elsewhere from here."""
    return text if _LOCAL_PATH.fullmatch(text) else otherwise


class Desk:
    """Where browsers sign in and out."""

    def __init__(self, context: Context) -> None:
        self._tokens = Tokens(context.settings)
        self._origins = PageOrigins(context.settings)
        self._proxies = TrustedProxies(context.settings.proxy_addresses)
        self._secure = (context.settings.public_url or "").startswith("https:")

    async def answer(self, request: Request) -> Response:
        """Answers `/login`."""
        if request.method == "POST":
            return await self.sign_in(request)
        return _form(request, request.query_params.get("next", ""), 200)

    async def sign_in(self, request: Request) -> Response:
        """Answers `POST /login`: the form, or `{"token":…}`."""
        self._refuse_elsewhere(request)
        as_json = request.headers.get("content-type", "").startswith("application/json")
        given = await _fields(request, as_json=as_json)
        token = given.get("token", "").strip()
        viewer = self._tokens.viewer(token)
        if viewer is None:
            if as_json:
                raise unauthorized("The token is not valid, or not any more")
            return _form(request, given.get("next", ""), 401)
        answer: Response
        if as_json:
            answer = json_response({"user": {"name": viewer.name, "admin": viewer.admin}})
        else:
            answer = RedirectResponse(local_path(given.get("next", ""), f"{_root(request)}/"), 303, _HEADERS)
        self._set_cookie(request, answer, token, viewer)
        return answer

    async def sign_out(self, request: Request) -> Response:
        """Answers `POST /logout`."""
        self._refuse_elsewhere(request)
        answer = RedirectResponse(f"{_root(request)}/login", 303, _HEADERS)
        answer.delete_cookie(COOKIE, path=_root(request) or "/", httponly=True, samesite="strict")
        return answer

    def _set_cookie(self, request: Request, answer: Response, token: str, viewer: Viewer) -> None:
        answer.set_cookie(
            COOKIE,
            token,
            max_age=None if viewer.expires_s is None else max(0, int(viewer.expires_s - time.time())),
            path=_root(request) or "/",
            secure=self._secure or self._scheme(request) == "https",
            httponly=True,
            samesite="strict",
        )

    def _scheme(self, request: Request) -> str:
        forwarded = forwarded_scheme(request.headers) if self._proxies.trusts(request.scope) else None
        return forwarded or request.url.scheme

    def _refuse_elsewhere(self, request: Request) -> None:
        if not self._origins.are_ours(request, changes=True):
            raise forbidden("Only this server's own page may do that")


async def _fields(request: Request, *, as_json: bool) -> dict[str, str]:
    body = await whole_body(request, LOGIN_BYTES_MAX, "That is no token")
    if not as_json:
        try:
            fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=LOGIN_FIELDS_MAX)
        except ValueError:
            raise bad_request("That is no form of ours") from None
        return {name: values[0] for name, values in fields.items()}
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise bad_request("The body is not JSON") from None
    return {name: value for name, value in given.items() if isinstance(value, str)} if isinstance(given, dict) else {}


def _form(request: Request, wanted: str, status: int) -> Response:
    notice = '<p role="alert">That token is not valid, or not any more.</p>' if status != 200 else ""  # noqa: PLR2004
    page = _PAGE.format(
        notice=notice,
        action=html.escape(f"{_root(request)}/login"),
        next=html.escape(local_path(wanted, "")),
    )
    return HTMLResponse(page, status, _HEADERS)


def _root(request: Request) -> str:
    """The path under which this application is mounted."""
    return urlsplit(request.scope.get("root_path", "")).path.rstrip("/")
