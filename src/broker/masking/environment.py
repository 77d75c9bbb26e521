"""The values of a command's environment that are secret: chosen ones, those of telling names, passwords in URLs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from fantail.broker.limits import CHOSEN_SECRET_BYTES_MIN, SECRET_BYTES_MIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SECRET_NAME: Final = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL|(?:_|^)(?:PASS|PW|AUTH)$"
    r"|_PWD$|(?<!PUBLIC)(?<!CACHE)_KEY$|_(?:KEY|PASS|PW)_",
    re.IGNORECASE,
)
# Such a variable says where the secret is, or something else about it.
_POINTER_NAME: Final = re.compile(r"_(FILE|PATH|DIR|URL|URI|HOST|NAME|USER|TYPE|TTL|SOCK|ID)$", re.IGNORECASE)
_PATH: Final = re.compile(r"[.~]{0,2}/[\w./@-]*|[A-Za-z]:\\.*")
# Values of this length that are words: masking them would blank out ordinary output.
_WORDS: Final = frozenset(
    ("password", "postgres", "changeme", "disabled", "required", "optional", "localhost", "username", "development")
)


def secret_values(environment: Mapping[str, str], chosen: Iterable[str] = ()) -> list[bytes]:
    """The values to be masked.

    Args:
        environment: the command's.
        chosen: names of variables; one that is not set is left out. Their values may be as short as
            `CHOSEN_SECRET_BYTES_MIN` bytes, all others are masked from `SECRET_BYTES_MIN` on.
    """
    values: set[bytes] = set()
    names = set(chosen)
    for name, value in environment.items():
        if name in names:
            values.update(_lines_of(value, CHOSEN_SECRET_BYTES_MIN))
        elif _SECRET_NAME.search(name) and not _POINTER_NAME.search(name) and not _is_no_secret(value):
            values.update(_lines_of(value, SECRET_BYTES_MIN))
        for password in _passwords_in(value):
            values.update(_lines_of(password, SECRET_BYTES_MIN))
    return sorted(values)


def unmaskable(environment: Mapping[str, str], chosen: Iterable[str]) -> list[str]:
    """The chosen variables that are set, but too short to be masked."""
    return [
        name for name in chosen if environment.get(name) and not _lines_of(environment[name], CHOSEN_SECRET_BYTES_MIN)
    ]


def _is_no_secret(value: str) -> bool:
    return value.lower() in _WORDS or _PATH.fullmatch(value) is not None


def _passwords_in(value: str) -> Iterator[str]:
    """The password of a URL, such as that of DATABASE_URL, as it is written and as it is meant."""
    if "://" not in value or "@" not in value:
        return
    try:
        parts = urlsplit(value)
    except ValueError:
        return
    password = parts.password
    if not password or password.lower() in _WORDS:
        return
    named = {parts.username, parts.hostname, parts.path.strip("/"), parts.scheme}
    if password not in named:
        yield from {password, unquote(password)}


def _lines_of(value: str, bytes_min: int) -> list[bytes]:
    lines = [line.strip() for line in value.encode("utf-8", "surrogateescape").splitlines()]
    if len(lines) > 1:
        # The braces of a JSON value, say, are no secret.
        bytes_min = max(bytes_min, SECRET_BYTES_MIN)
    return [line for line in lines if len(line) >= bytes_min]
