"""Who is asking, and what they may see.

One of three doors stands in front of everything (PROTOCOL.md, section U), chosen by `FANTAIL_AUTH`:

    none    nobody is told apart; only this machine may ask, and no page of the web through a browser on it (trap 30)
    jwt     a token signed with HS256 or RS256, as a bearer or in the cookie that `/login` sets
    proxy   a proxy in front has asked who it is and names the user in a header; believed from its addresses only

The middleware writes the `Viewer` to the ASGI scope and goes no further: a request without one is refused by the route
it is for, in that route's words (`viewer_required`). Only what no route may see at all, a request from another origin,
is refused here.

What holds: the algorithm is the one that was set, whatever the token says of itself. A token is never read from a URL,
which would end in logs and histories. A method that changes something, sent with a cookie or through a proxy, that
is with rights that a browser adds by itself, must come from a page of our own.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final, Protocol

import jwt
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection

from fantail.web.auth.viewer import EVERYONE, VIEWER_KEY, Viewer
from fantail.web.errors import ProblemError, forbidden, refusal
from fantail.web.http.origin import comes_from_elsewhere, host_of, is_local, only, origin_of, says_its_origin
from fantail.web.http.proxies import TrustedProxies, forwarded_hosts
from fantail.web.limits import TOKEN_BYTES_MAX, USER_CHARS_MAX
from fantail.web.settings import WrongSettingError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from fantail.web.settings import Settings

COOKIE: Final = "fantail_token"
ADMIN: Final = "admin"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# No control characters, and no surrogates, which UTF-8 and thus JSON and Redis cannot hold.
_USER: Final = re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{USER_CHARS_MAX}}}")


def is_user_name(given: object) -> bool:
    """Whether something is a valid user name: a text of 1 to 256 characters, none of them a control or a surrogate."""
    return isinstance(given, str) and _USER.fullmatch(given) is not None


class Door(Protocol):
    """One way to find out who asks."""

    def viewer(self, connection: HTTPConnection) -> Viewer | None:
        """Who asks; None: nobody that we know.

        Raises:
            ProblemError: the request must not reach any route.
        """


class PageOrigins:
    """Tells requests of our own pages from those of other pages; trusted proxies may say under which name we run."""

    def __init__(self, settings: Settings) -> None:
        self._allowed = allowed_origins(settings)
        self._proxies = TrustedProxies(settings.proxy_addresses)

    def hosts(self, connection: HTTPConnection) -> list[str]:
        """The authorities that a trusted proxy says it was asked for; none from anybody else."""
        return forwarded_hosts(connection.headers) if self._proxies.trusts(connection.scope) else []

    def are_ours(self, connection: HTTPConnection, *, changes: bool) -> bool:
        """Whether no page of another origin sent this; see `comes_from_elsewhere`."""
        return not comes_from_elsewhere(connection.headers, self._allowed, self.hosts(connection), changes=changes)


class OpenDoor:
    """Everyone who reaches this machine's own address, and no page of another origin."""

    def __init__(self, settings: Settings) -> None:
        self._hosts = frozenset(host.lower() for host in settings.allowed_hosts)
        self._origins = PageOrigins(settings)

    def viewer(self, connection: HTTPConnection) -> Viewer | None:
        """See `Door`."""
        host = only(connection.headers, "host")
        # What a proxy says it was asked for counts as well as what it asks us for: a rebound name is in the former.
        if host is None or not all(map(self._is_ours, [host, *self._origins.hosts(connection)])):
            raise forbidden("The Host header does not name this machine")
        if not self._origins.are_ours(connection, changes=changes_something(connection)):
            raise forbidden("Pages of other origins may not ask")
        return EVERYONE

    def _is_ours(self, authority: str) -> bool:
        return is_local(authority) or not self._hosts.isdisjoint({authority.lower(), host_of(authority)})


class TokenDoor:
    """Whoever has a valid token."""

    def __init__(self, settings: Settings) -> None:
        self._tokens = Tokens(settings)
        self._origins = PageOrigins(settings)

    def viewer(self, connection: HTTPConnection) -> Viewer | None:
        """See `Door`."""
        bearer = bearer_of(connection)
        if bearer is not None:
            return self._tokens.viewer(bearer)
        cookie = connection.cookies.get(COOKIE)
        viewer = None if cookie is None else self._tokens.viewer(cookie)
        changes = viewer is not None and changes_something(connection)
        if changes and not (says_its_origin(connection.headers) and self._origins.are_ours(connection, changes=True)):
            raise forbidden("With a cookie, only pages of this server may change something")
        return viewer


class ProxyDoor:
    """Whoever a proxy says it is, if the proxy is one of ours."""

    def __init__(self, settings: Settings) -> None:
        self._proxies = TrustedProxies(settings.proxy_addresses)
        self._header = settings.proxy_header.lower()
        self._admins = frozenset(settings.proxy_admins)
        self._origins = PageOrigins(settings)

    def viewer(self, connection: HTTPConnection) -> Viewer | None:
        """See `Door`."""
        if not self._proxies.trusts(connection.scope):
            return None
        name = _as_utf8(only(connection.headers, self._header))
        if name is None or not is_user_name(name):
            return None
        if changes_something(connection) and not self._origins.are_ours(connection, changes=True):
            raise forbidden("Pages of other origins may not change anything")
        return Viewer(name, admin=name in self._admins)


def _as_utf8(value: str | None) -> str | None:
    """Decodes a header's value, which Starlette decoded as Latin-1, as UTF-8; None: it is absent or not UTF-8."""
    try:
        return None if value is None else value.encode("latin-1").decode()
    except UnicodeError:
        return None


class Tokens:
    """Reads signed tokens: `sub` is the user, `role: admin` sees all, `exp` must be there (RFC 7519)."""

    def __init__(self, settings: Settings) -> None:
        assert settings.jwt_secret is not None, "the settings refuse jwt without a key"
        self._algorithm = settings.jwt_algorithm
        key = settings.jwt_secret.get_secret_value()
        try:
            # Parsed once: reading a PEM key costs more than checking a signature with it.
            self._key = jwt.get_algorithm_by_name(self._algorithm).prepare_key(key)
        except (jwt.InvalidKeyError, ValueError, TypeError) as fault:
            raise WrongSettingError(f"FANTAIL_JWT_SECRET is no key for {self._algorithm}") from fault

    def viewer(self, token: str) -> Viewer | None:
        """Whose token it is; None: it is not valid, or not any more."""
        if len(token) > TOKEN_BYTES_MAX:
            return None
        try:
            claims = jwt.decode(token, self._key, algorithms=[self._algorithm], options={"require": ["exp", "sub"]})
            name, expires_s = claims["sub"], float(claims["exp"])
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            return None
        if not is_user_name(name):
            return None
        return Viewer(name, admin=claims.get("role") == ADMIN, expires_s=expires_s)


def check_token_key(settings: Settings) -> None:
    """Makes sure that the key fits the algorithm, where tokens are asked for.

    Raises:
        WrongSettingError: it does not.
    """
    if settings.auth == "jwt":
        Tokens(settings)


def mint_token(settings: Settings, user: str, *, admin: bool, ttl_s: float) -> str:
    """Makes a token for a user.

    Args:
        settings: those of the server that shall take it.
        user: becomes `sub`; see `is_user_name`.
        admin: whether it may see and change everything.
        ttl_s: for how many seconds it is valid.

    Raises:
        ValueError: the settings have no secret, or one that can only check (RS256); or the user's name is not valid.
    """
    if settings.jwt_secret is None:
        raise ValueError("a token needs the secret of the server that takes it: set FANTAIL_JWT_SECRET")
    if settings.jwt_algorithm != "HS256":
        raise ValueError("only HS256 tokens can be made here; RS256 tokens come from whoever has the private key")
    if not is_user_name(user):
        raise ValueError(f"a user's name has 1 to {USER_CHARS_MAX} characters, none of them a control character")
    now_s = int(time.time())
    claims: dict[str, str | int] = {"sub": user, "iat": now_s, "exp": now_s + max(1, int(ttl_s))}
    if admin:
        claims["role"] = ADMIN
    return jwt.encode(claims, settings.jwt_secret.get_secret_value(), algorithm="HS256")


def bearer_of(connection: HTTPConnection) -> str | None:
    """The token of the one `Authorization: Bearer` header (RFC 6750, section 2.1), empty if there are several."""
    given = connection.headers.getlist("authorization")
    if not given:
        return None
    scheme, _, token = given[0].partition(" ")
    return token.strip() if len(given) == 1 and scheme.lower() == "bearer" else ""


def changes_something(connection: HTTPConnection) -> bool:
    """Whether the method is one that may change something."""
    return connection.scope.get("method", "GET") not in SAFE_METHODS


def allowed_origins(settings: Settings) -> frozenset[str]:
    """Origins whose pages are as good as ours: those of the CORS allow-list, and the public address."""
    origins = set(settings.cors_origins)
    if settings.public_url is not None:
        origins.add(origin_of(settings.public_url))
    return frozenset(origins)


class Authentication:
    """The middleware: finds out who asks and writes it to the scope, or refuses what no route may see."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._door: Door
        match settings.auth:
            case "none":
                self._door = OpenDoor(settings)
            case "jwt":
                self._door = TokenDoor(settings)
            case "proxy":
                self._door = ProxyDoor(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] == "http":
            # Taken away first: it is ours to say, whatever application this one is mounted in.
            scope[VIEWER_KEY] = None
            try:
                scope[VIEWER_KEY] = self._door.viewer(HTTPConnection(scope))
            except ProblemError as error:
                await refusal(scope, error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def middleware(settings: Settings) -> list[Middleware]:
    """For `Starlette(middleware=…)`, outermost first: CORS if any origin is allowed, then who is asking."""
    chain = [Middleware(Authentication, settings=settings)]
    if settings.cors_origins:
        # No credentials: the cookie is SameSite=Strict and never sent across sites; a page elsewhere brings a bearer.
        cors = Middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Last-Event-ID", "Cache-Control"],
            max_age=600,
        )
        chain.insert(0, cors)
    return chain
