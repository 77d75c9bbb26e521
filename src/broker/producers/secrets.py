"""Blanks secrets out of what a command prints, before anybody else can read it.

Four kinds are known: the values of environment variables (those chosen, and those whose names say that they are
secret), the shapes of common access tokens, what stands where secrets do (a password in a URL, what follows
`Authorization: Bearer`), and the body of private keys. A job's output reaches every viewer and stays in Redis for a
day, so the masking stands at the producer, and nothing behind it needs to know.

What holds:
- However the output is cut into chunks, what comes out is the same: a secret split over two writes is masked
  (trap 35). Complete lines are decided at once; what is held back is the unfinished line, which no viewer
  would be shown yet anyhow, so masking delays nothing.
- What is masked is the union, over every place in a line, of the longest match that starts there. So overlapping
  secrets leave no remainder, and the answer does not depend on where a scan began.
- All else passes byte for byte.

A secret of several lines (a key in a variable) is masked line by line, as each line is printed by itself. A line
longer than the window is decided in windows counted from its start; a token that reaches over a window's end is
masked as far as it looks like a token. Not masked: a secret in another encoding (base64, escaped, with colour
inside).

Decided against: masking whole lines (it hides the reason of a failure together with the secret); Python's `re`
(45 MB/s where RE2 makes 700 MB/s on the same expression, measured on text without secrets).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import re2

from broker.limits import (
    CHOSEN_SECRET_BYTES_MIN,
    KEY_BLOCK_LINES_MAX,
    MASK_TOKEN_BYTES_MAX,
    MASK_WINDOW_BYTES,
    MIB,
    SECRET_BYTES_MIN,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MASK: Final = b"***"

_SECRET_NAME: Final = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL", re.IGNORECASE
)
# Such a variable says where the secret is, or something else about it.
_POINTER_NAME: Final = re.compile(r"_(FILE|PATH|DIR|URL|URI|HOST|NAME|USER|TYPE|TTL|SOCK)$", re.IGNORECASE)

# A token may follow a colour, whose last letter would hide the word's border.
_BORDER: Final = rb"(?:\b|\x1b\[[0-9;]*m)"
_SHAPES: Final = (
    rb"gh[pousr]_[A-Za-z0-9]{36,}",  # GitHub
    rb"github_pat_[A-Za-z0-9_]{22,}",
    rb"gl(?:pat|dt|rt|cbt|ptt|ft|agent|oas|soat)-[A-Za-z0-9_.-]{20,}",  # GitLab
    rb"sk-[A-Za-z0-9]{20,}",  # OpenAI, and those who followed it
    rb"sk-(?:ant|proj|svcacct|admin|or|lf)-[A-Za-z0-9_-]{20,}",
    rb"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
    rb"xox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
    rb"xapp-[A-Za-z0-9-]{20,}",
    rb"(?:AKIA|ASIA)[A-Z0-9]{16}\b",  # AWS
    rb"AIza[A-Za-z0-9_-]{35}",  # Google
    rb"ya29\.[A-Za-z0-9_-]{20,}",
    rb"npm_[A-Za-z0-9]{36}",
    rb"pypi-[A-Za-z0-9_-]{50,}",
    rb"hf_[A-Za-z0-9]{30,}",  # Hugging Face
    rb"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",  # JSON Web Token (RFC 7519)
)
# What is secret because of where it stands: the group. A URL's user and host say which door it opens, and stay.
_PLACES: Final = (
    rb"://[^\s/:@]*:([^\s/@]+)@",  # RFC 3986, section 3.2.1
    rb"(?i:authorization)[\"']?[ \t]*[:=][ \t]*[\"']?(?i:bearer|basic|token)[ \t]+([A-Za-z0-9._~+/=-]{4,})",  # RFC 6750
    rb"(?i:private-token|x-api-key|x-auth-token)[\"']?[ \t]*[:=][ \t]*[\"']?([A-Za-z0-9._~+/=-]{8,})",
)
# A private key written as one line, its line ends escaped.
_KEY_IN_ONE_LINE: Final = rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:\\[nr]|[A-Za-z0-9+/= ]){16,}"
_TOKEN_BYTES: Final = re.compile(rb"[A-Za-z0-9_.+/=\\-]*")
_LINE: Final = re.compile(rb"[^\n]*\n")
# RE2 unfolds a literal into its program; pieces keep it in the fast automaton.
_PIECE_BYTES: Final = 256
_EXPRESSION_BYTES_MAX: Final = 64 * MIB

_KEY_BEGINS: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_TRACE: Final = b"PRIVATE KEY"
_KEY_HEADER: Final = re.compile(rb"\s*(?:(?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset):.*)?", re.DOTALL)
# Base64, perhaps indented, quoted, coloured or with the sign of a diff before it.
_KEY_BODY: Final = re.compile(
    rb"(?:\x1b\[[0-9;]*m|[^A-Za-z0-9+/=])*[A-Za-z0-9+/]+={0,2}(?:\\[nr]|\x1b\[[0-9;]*m|[^A-Za-z0-9+/=])*"
)


def secret_values(environment: Mapping[str, str], chosen: Iterable[str] = ()) -> list[bytes]:
    """The values to be masked: of the chosen variables, and of those whose names say that they are secret.

    Args:
        environment: the command's.
        chosen: names of variables; one that is not set is left out. Their values may be as short as
            `CHOSEN_SECRET_BYTES_MIN` bytes, all others are masked from `SECRET_BYTES_MIN` on.
    """
    values = set()
    names = set(chosen)
    for name, value in environment.items():
        if name in names:
            values.update(_lines_of(value, CHOSEN_SECRET_BYTES_MIN))
        elif _SECRET_NAME.search(name) and not _POINTER_NAME.search(name):
            values.update(_lines_of(value, SECRET_BYTES_MIN))
    return sorted(values)


def unmaskable(environment: Mapping[str, str], chosen: Iterable[str]) -> list[str]:
    """The chosen variables that are set, but too short to be masked."""
    return [
        name for name in chosen if environment.get(name) and not _lines_of(environment[name], CHOSEN_SECRET_BYTES_MIN)
    ]


def masked_text(text: str, values: Iterable[bytes] = ()) -> str:
    """A text, such as a command line, with its secrets masked."""
    masker = SecretMasker(values)
    try:
        data = text.encode("utf-8", "surrogateescape")  # as the system gave it
    except UnicodeEncodeError:
        data = text.encode("utf-8", "replace")
    return (masker.feed(data) + masker.flush()).decode("utf-8", "replace")


def _lines_of(value: str, bytes_min: int) -> list[bytes]:
    lines = [line.strip() for line in value.encode("utf-8", "surrogateescape").splitlines()]
    if len(lines) > 1:
        # The braces of a JSON value, say, are no secret.
        bytes_min = max(bytes_min, SECRET_BYTES_MIN)
    return [line for line in lines if len(line) >= bytes_min]


class SecretMasker:
    """Masks one stream of bytes; each of a command's streams needs its own.

    Feed chunks as they come; what is returned may be shown. It ends with a complete line, except where a line is
    longer than the window. `flush()` gives the rest, at the end.
    """

    def __init__(self, values: Iterable[bytes] = (), *, window_bytes: int = MASK_WINDOW_BYTES) -> None:
        """Takes the values to mask; the shapes are masked always.

        Args:
            values: as `secret_values` gives them, without line ends; empty ones are left out.
            window_bytes: an unfinished line of this length is decided before its end is known.
        """
        literals = [piece for value in values for piece in _pieces(value)]
        self._secrets = _compiled(literals)
        # Matches that start further than this from a window's end are seen whole (longer tokens: see `_decide`).
        self._foresight = max([min(MASK_TOKEN_BYTES_MAX, window_bytes // 2), *map(len, literals)]) + 1
        self._window = max(window_bytes, 2 * self._foresight)
        self._key_lines_left = 0
        # The unfinished line from one byte before what is undecided: a border is seen by the byte before it.
        self._held = b""
        self._decided = 0  # starts before this place of `_held` are decided
        self._written = 0  # bytes before this place are written, or masked
        self._in_token = False

    def feed(self, chunk: bytes) -> bytes:
        """Takes the next bytes, and returns those that are decided now, perhaps none."""
        end = chunk.rfind(b"\n") + 1
        if end == 0:
            self._held += chunk
            return self._long_line()
        block, self._held = self._held + chunk[:end], chunk[end:]
        return self._lines(block) + self._long_line()

    def flush(self) -> bytes:
        """Returns what is held back: the stream is over."""
        line, self._held = self._held, b""
        return self._line(line)

    def _lines(self, block: bytes) -> bytes:
        plain = len(block) < self._window and self._decided == 0
        if plain and not self._key_lines_left and _KEY_TRACE not in block:
            return self._rest_of(block)
        return b"".join([self._line(line) for line in _LINE.findall(block)])

    def _line(self, line: bytes) -> bytes:
        """One complete line, or the rest of a long one."""
        text = line.removesuffix(b"\n")
        long = self._decided > 0 or len(text) >= self._window
        if self._key_lines_left and self._is_of_key(text, long=long):
            return MASK + line[len(text) :]
        if not long and _KEY_BEGINS.search(text):
            self._key_lines_left = KEY_BLOCK_LINES_MAX
        self._held, held = line, self._held
        shown = self._long_line(complete=True)
        line, self._held = self._held, held
        return shown + self._rest_of(line)

    def _is_of_key(self, text: bytes, *, long: bool) -> bool:
        """Whether a line after the opening of a private key is part of its body."""
        self._key_lines_left -= 1
        if not long and _KEY_HEADER.fullmatch(text):
            return False
        if not long and _KEY_BODY.fullmatch(text):
            return True
        self._key_lines_left = 0
        return False

    def _long_line(self, *, complete: bool = False) -> bytes:
        """Decides the line held as far as it can be, window by window, the same however it arrived."""
        shown = []
        length = len(self._held) - (complete and self._held.endswith(b"\n"))
        while length - self._decided >= self._window:
            self._key_lines_left = 0
            end = self._decided + self._window
            shown.append(self._decide(self._held[:end], end - self._foresight))
            dropped = self._decided - 1
            self._held = self._held[dropped:]
            self._decided, self._written, length = 1, self._written - dropped, length - dropped
        return b"".join(shown)

    def _rest_of(self, text: bytes) -> bytes:
        shown = self._decide(text, len(text))
        self._decided = self._written = 0
        self._in_token = False
        return shown

    def _decide(self, text: bytes, limit: int) -> bytes:
        """Masks every match that starts before the limit, and returns the bytes before it that are not masked."""
        shown: list[bytes] = []
        written = self._written
        if self._in_token and (token := _TOKEN_BYTES.match(text, written)):
            written = token.end()
        place = self._decided
        while place < limit and (match := self._secrets.search(text, place)) and match.start() < limit:
            start, end = _secret_of(match)
            if start >= written:
                shown += (text[written:start], MASK)
            written = max(written, end)
            place = match.start() + 1
        if written < limit:
            shown.append(text[written:limit])
            written = limit
        # A match that reaches the window's end may go on behind it.
        self._in_token = written == len(text)
        self._decided, self._written = limit, written
        return b"".join(shown)


def _secret_of(match: Any) -> tuple[int, int]:
    """Where the secret is in a match: all of it, or the one group that took part."""
    for group in range(1, len(_PLACES) + 2):
        start, end = match.span(group)
        if start >= 0:
            return start, end
    start, end = match.span()
    return start, end


def _pieces(value: bytes) -> list[bytes]:
    """A long value as pieces that together cover it: the expression stays small, and so does the foresight."""
    if len(value) <= _PIECE_BYTES:
        return [value] if value else []
    starts = range(0, len(value) - _PIECE_BYTES, _PIECE_BYTES)
    return [value[start : start + _PIECE_BYTES] for start in starts] + [value[-_PIECE_BYTES:]]


def _compiled(literals: Iterable[bytes]) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes, whatever they mean
    options.longest_match = True
    options.log_errors = False
    options.max_mem = _EXPRESSION_BYTES_MAX
    shapes = _BORDER + b"(" + b"|".join(_SHAPES) + b")"
    return re2.compile(b"|".join([*map(re2.escape, literals), shapes, *_PLACES, _KEY_IN_ONE_LINE]), options=options)
