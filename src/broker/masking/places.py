"""Places where a secret stands whatever its form: assignments, URLs, headers, options of commands.

Each place is an RE2 expression with one group, the secret, and a test of what the group holds. The expression rejects
most of what only resembles a secret (`password = get_password()`, `token: string`), since a rejection there costs
nothing; the test rejects placeholders and code, which need more than an automaton.

The expressions read plain text and text within JSON alike: a quote may be escaped, and so may a line end before a word.
No expression matches across a line feed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fantail.broker.limits import MASK_LOOK_BACK_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    Test = Callable[[bytes, int, int], bool]

# A change of colour (ECMA-48, SGR), as it is and as JSON has it.
COLOUR: Final = rb"(?:\x1b|\\u001[bB])\[[0-9;:]*m"
WORD_BORDER: Final = rb"(?:\A|[^A-Za-z0-9]|\\[nrtbf]|" + COLOUR + rb")"
_BLANK: Final = rb"(?:[ \t]|\\t)"
_SPACE: Final = rb"(?:" + _BLANK + rb"|" + COLOUR + rb")*"
_COLOURS: Final = rb"(?:" + COLOUR + rb")*"
_QUOTE: Final = rb"\\*[\"'`]" + _COLOURS
# Of what was cut, only the opening quote is left.
_QUOTE_END: Final = _COLOURS + rb"(?:" + _QUOTE + rb"|[\r\n]|\\[nr]|\z)"
_MAYBE_QUOTE: Final = rb"(?:" + _QUOTE + rb")?"
_SEPARATOR: Final = _SPACE + rb"(?:=>|:=|[:=])" + _SPACE
_END: Final = rb"(?:[\s\x1b\"'`,;&|\\<})\]]|\z)"
_QUOTED: Final = rb"[^\s\x1b\"'`\\<>]"
_BARE: Final = rb"[^\s\x1b\"'`\\$<>{}()\[\],;&|*]"
_AUTHORITY: Final = rb":(?:\\?/){2}"
_TOKEN: Final = rb"[A-Za-z0-9._~+/=-]"

_SECRET_WORD: Final = (
    rb"(?i:passw(?:or)?d|passphrase|pwd|secret|token|credentials?"
    rb"|(?:api|access|private|auth|account|encryption|signing|master|license|subscription|shared|storage)[_.-]?key)"
)
_SUFFIX: Final = (
    rb"(?i:[_.-]?(?:access[_-]?key|key|token|secret|value|base|prod|dev|test|live|main|staging|v?[0-9]{1,2}))*"
)
_ENV_WORD: Final = (
    rb"(?:PASSW(?:OR)?D|PASSPHRASE|_PASS|_PWD|_PW|SECRET|TOKEN|CREDENTIALS?|(?:API|ACCESS|PRIVATE|AUTH|ACCOUNT)_?KEY)"
    rb"(?:_(?:ACCESS_KEY|KEY|TOKEN|BASE|PROD|DEV|TEST|LIVE|MAIN|STAGING|V?[0-9]{1,2}))*"
)
_OPTION: Final = (
    rb"--(?:[a-z0-9]+-)*(?:password|passwd|passphrase|pass|pwd|secret|token|api-?key|access-?key|secret-?key|auth-?key)"
)


def _mixed(character: bytes) -> bytes:
    """Characters among which are a letter and a digit, or a letter and a sign that passwords have."""
    return b"X*(?:[A-Za-z]X*[0-9]|[0-9]X*[A-Za-z])X*".replace(b"X", character)


def _signed(character: bytes) -> bytes:
    return b"X*[A-Za-z]X*[!@#^~?+$%]X*[A-Za-z]X*".replace(b"X", character)


@dataclass(frozen=True, slots=True)
class Place:
    """One kind of place.

    Attributes:
        expression: in RE2's syntax, with one group.
        test: given a text and the group's bounds in it, whether that is a secret.
    """

    expression: bytes
    test: Test


# -- tests ---------------------------------------------------------------------------------------------------------

_STOP_WORDS: Final = frozenset(
    b"password passwd passphrase pass pwd secret token key true false null none nil undefined string str bytes number "
    b"boolean required optional default disabled enabled unknown invalid missing expired hidden masked redacted empty "
    b"prompt stdin basic bearer username user value changeme object buffer function return credentials private "
    b"public incorrect correct wrong accepted rejected changed updated success failed timeout retrying".split()
)
_PLACEHOLDER: Final = re.compile(
    rb"(?i)[$<{\[(*#:=]|%(?![0-9a-f]{2})|.*(?:\$\{|\$\(|\{\{|<|\*\*\*|xxxx|\.\.\.|\xe2\x80\xa6"
    rb"|your[-_ ]|change[-_]?me|placeholder|redacted|_here$)",
    re.DOTALL,
)
_DOTTED_NAME: Final = re.compile(rb"[A-Za-z_]\w*(?:(?:\.|::|->|\?\.)[A-Za-z_]\w*)+[!?:.]?")
_NAME: Final = re.compile(rb"[A-Za-z_]\w*[!?:.]?")
_NAME_WORD: Final = re.compile(rb"(?i)token|passw|secret|key|cred|auth|hash|param|arg|user|value|config|string|type")
_NAME_OF_HEADER: Final = re.compile(rb"(?i)[a-z]+[0-9]{1,3}|\w*(?:auth|header|token|key)\w*")
_CONSTANT: Final = re.compile(rb"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[A-Z]+")
_QUANTITY: Final = re.compile(
    rb"(?i)[+-]?[0-9][0-9.,:_]*(?:e[+-]?[0-9]+)?\s?[a-z%/]{0,5}|0x[0-9a-f]{1,8}|v?[0-9]+(?:\.[0-9x]+)+(?:[-+.]\w+)*"
    rb"|[0-9]{4}-[0-9]{2}-[0-9]{2}.*"
)
_TYPE: Final = re.compile(
    rb"(?i)u?int[0-9]+\w*|[uif][0-9]{1,3}|float[0-9]+|u?int[0-9]+array|utf-?[0-9]+|base[0-9]{2}\w*|sha-?[0-9]+\w*|md[0-9]"
    rb"|varchar[0-9]*|oauth[0-9]\w*|[hrep]s(?:256|384|512)|aes-?[0-9]+\w*|argon2\w*|pbkdf2\w*|x509\w*|pkcs\w*|ed25519\w*"
    rb"|http2|https?:.*|file:.*|ssh-.*"
)
_PATH: Final = re.compile(rb"(?:[.~]{0,2}/|[A-Za-z]:/)[\w ./@+~-]*|(?:[\w@.-]+/)+[\w.-]+\.\w{1,5}")
_LONG_SECRET_BYTES: Final = 32
_VALUE_BYTES_MIN: Final = 6
_LETTERS_BYTES_MIN: Final = 6


def _is_value(value: bytes, bytes_min: int = _VALUE_BYTES_MIN) -> bool:
    """Whether a value, whatever it looks like, is neither a placeholder nor something that names or counts."""
    return (
        len(value) >= bytes_min
        and len(set(value)) > 2  # noqa: PLR2004 - a line of dashes or dots
        and value.lower() not in _STOP_WORDS
        and not _PLACEHOLDER.match(value)
    )


def _is_random(value: bytes) -> bool:
    """Whether it has what a generated secret has: length, and several kinds of characters."""
    kinds = sum(any(low <= byte <= high for byte in value) for low, high in ((48, 57), (65, 90), (97, 122)))
    return len(value) >= _LONG_SECRET_BYTES and kinds == 3  # noqa: PLR2004 - digits, capitals, small letters


def _no_quantity(value: bytes) -> bool:
    if _QUANTITY.fullmatch(value) or _TYPE.fullmatch(value):
        return False
    return _is_random(value) or not _PATH.fullmatch(value)


def _quoted_value(text: bytes, start: int, end: int) -> bool:
    value = text[start:end]
    if not _is_value(value) or not _no_quantity(value) or _CONSTANT.fullmatch(value):
        return False
    return not (_DOTTED_NAME.fullmatch(value) and _NAME_WORD.search(value))


def _bare_value(text: bytes, start: int, end: int) -> bool:
    value = text[start:end]
    if not _is_value(value) or not _no_quantity(value) or _CONSTANT.fullmatch(value) or _DOTTED_NAME.fullmatch(value):
        return False
    in_code = text[start - 1 : start] in {b" ", b"\t"} or text[end : end + 1] in {b",", b")", b";", b"}", b"]", b"<"}
    return not (in_code and _NAME.fullmatch(value) and _NAME_WORD.search(value))


def _environment_value(text: bytes, start: int, end: int) -> bool:
    value = text[start:end]
    return _is_value(value) and _no_quantity(value) and not _CONSTANT.fullmatch(value)


def _letters(text: bytes, start: int, end: int) -> bool:
    value = text[start:end]
    return _is_value(value, _LETTERS_BYTES_MIN) and not _NAME_WORD.search(value) and not value.isupper()


def _option_value(text: bytes, start: int, end: int) -> bool:
    value = text[start:end]
    return _is_value(value, 4) and not value.isupper() and not _CONSTANT.fullmatch(value)


def _any_value(text: bytes, start: int, end: int) -> bool:
    return not _PLACEHOLDER.match(text[start:end]) and text[start:end].lower() not in _STOP_WORDS


def _header_value(text: bytes, start: int, end: int) -> bool:
    value = text[start:end]
    return _is_value(value, 8) and any(48 <= byte <= 57 for byte in value) and not _NAME_OF_HEADER.fullmatch(value)  # noqa: PLR2004


def _cookies(text: bytes, start: int, end: int) -> bool:
    return _any_value(text, text.index(b"=", start) + 1, end)


def _user_that_is_a_token(text: bytes, start: int, end: int) -> bool:
    return end - start >= 16 and _any_value(text, start, end)  # noqa: PLR2004 - a name is shorter


def _long_path(text: bytes, start: int, end: int) -> bool:  # noqa: ARG001 - a test of a place
    return end - start >= 20  # noqa: PLR2004 - a placeholder is shorter


def _always(text: bytes, start: int, end: int) -> bool:  # noqa: ARG001 - a test of a place
    return True


def _word_before(*words: bytes) -> Test:
    """A test that one of these programs was named before, in the same line."""

    def test(text: bytes, start: int, end: int) -> bool:
        begin = max(text.rfind(b"\n", 0, start) + 1, start - MASK_LOOK_BACK_BYTES)
        return any(word in text[begin:start] for word in words) and _any_value(text, start, end)

    return test


_KEY_OF_DATA: Final = re.compile(
    rb"(?i)(?:cache|sort|primary|foreign|partition|public|hash|index|group|routing|row|object|storage|map|dict|query|lock"
    rb"|registry|sub|host|arrow|shortcut|hot|_)$"
)


def _key_variable(text: bytes, start: int, end: int) -> bool:
    """Whether the value of `…_KEY=` is that of a key that opens something."""
    at = text.rfind(b"_KEY", 0, start)
    if _KEY_OF_DATA.search(text[max(0, at - 20) : at]):
        return False
    value = text[start:end]
    return len(value) >= 16 and _environment_value(text, start, end) and not _DOTTED_NAME.fullmatch(value)  # noqa: PLR2004


# -- places ----------------------------------------------------------------------------------------------------------

_QUOTES: Final = _MAYBE_QUOTE
_HEADER: Final = _QUOTES + _SPACE + rb"[:=,]" + _SPACE + _QUOTES
_COOKIE_HEADER: Final = _QUOTES + _SPACE + rb"[:=]" + _SPACE + _QUOTES
_ASSIGNED: Final = _QUOTES + rb"\]?" + _SEPARATOR
_MIXED_BARE: Final = b"(" + _mixed(_BARE) + b")" + _END
_MIXED_QUOTED: Final = rb"[bfru]?" + _QUOTE + b"(" + _mixed(_QUOTED) + b"|" + _signed(_QUOTED) + b")" + _QUOTE_END
_SCHEME: Final = rb"(?i:bearer|basic|token|api-?key|key|negotiate|bot|sso-key)(?:[ \t]|\\t)+"
_TOKEN_HEADER: Final = (
    rb"(?i:(?:private|job|deploy|x-[a-z-]{0,20}(?:auth|access|api|vault|gitlab|security|session|csrf|user))-(?:token|key)"
    rb"|x-api-?key|x-auth)"
)
_USER: Final = rb"[^\s/:@\"'<>\\\x1b]*"
_MIXED_USER: Final = _mixed(rb"[A-Za-z0-9_.~%-]")

PLACES: Final = (
    # RFC 3986, section 3.2.1. User and host say which door it opens, and stay.
    Place(_AUTHORITY + _USER + rb":([^\s/@\"'<>\\\x1b]+)@", _any_value),
    Place(_AUTHORITY + b"(" + _MIXED_USER + b")@", _user_that_is_a_token),
    # RFC 6750, RFC 7617
    Place(rb"(?i:authorization)" + _HEADER + _SCHEME + b"(" + _TOKEN + rb"{4,})", _any_value),
    Place(rb"(?i:authorization)" + _HEADER + b"(" + _mixed(_TOKEN) + b")" + _END, _header_value),
    Place(_TOKEN_HEADER + _HEADER + b"(" + _TOKEN + rb"{8,})" + _END, _header_value),
    # RFC 6265: what a cookie header holds, up to its end
    Place(
        rb"(?i:cookie)"
        + _COOKIE_HEADER
        + rb"([\w.$-]+=[^\s\"'`;,\\<>(){}\x1b]{4,}(?:;[ ]?[\w.$-]+(?:=[^\s\"'`;\\\x1b]*)?)*)",
        _cookies,
    ),
    Place(
        rb"(?:Signature|[?&]sig|[?&]X-Amz-(?:Signature|Credential|Security-Token))=([A-Za-z0-9%+/=_-]{30,})", _always
    ),
    Place(rb"(?:AccountKey|SharedAccessKey|SharedSecretValue)=([A-Za-z0-9+/]{24,}={0,2})", _always),
    Place(
        rb"hooks\.slack\.com\\?/(?:services|workflows|triggers)\\?/([A-Za-z0-9_+-]+(?:\\?/[A-Za-z0-9_+-]+)+)",
        _long_path,
    ),
    Place(rb"discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/[0-9]{10,}/([A-Za-z0-9_-]{40,})", _always),
    Place(rb"_auth(?:[ \t]|\\t)*=(?:[ \t]|\\t)*\"?([A-Za-z0-9+/]{8,}={0,2})", _header_value),
    Place(rb"login(?:[ \t]|\\t)+[^\s]+(?:[ \t]|\\t)+password(?:[ \t]|\\t)+([^\s\"'`\\]+)", _any_value),
    # options of commands
    Place(
        rb"(?:[ \t]|\\t)(?:-u|-U|--user|--proxy-user)(?:[ \t=]|\\t)*" + _QUOTES + rb"[^\s:\"'$]*:([^\s\"'`\\]+)",
        _word_before(b"curl", b"wget", b"http ", b"https "),
    ),
    Place(
        rb"(?:[ \t]|\\t)-[pa](?:[ \t]|\\t)*" + _QUOTES + rb"([^\s\"'`\\-][^\s\"'`\\]+)",
        _word_before(b"docker login", b"podman login", b"sshpass", b"redis-cli", b"az login", b"helm registry login"),
    ),
    Place(_OPTION + b"=" + _QUOTES + b"(" + _BARE + b"*[a-z0-9]" + _BARE + b"*)" + _END, _option_value),
    Place(_OPTION + rb"(?:[ \t]|\\t)+" + _QUOTES + _MIXED_BARE, _option_value),
    # assignments
    Place(_SECRET_WORD + _SUFFIX + _ASSIGNED + _MIXED_QUOTED, _quoted_value),
    Place(_SECRET_WORD + _SUFFIX + _ASSIGNED + _MIXED_BARE, _bare_value),
    Place(_ENV_WORD + b"=" + _QUOTES + b"(" + _BARE + rb"{6,})" + _END, _environment_value),
    Place(b"_KEY=" + _QUOTES + _MIXED_BARE, _key_variable),
    Place(rb"(?i:passw(?:or)?d|passphrase)=([A-Za-z]*[a-z][A-Za-z]*)(?:[\s&;]|\z)", _letters),
    Place(
        rb"(?i:passw(?:or)?d|passphrase)" + _ASSIGNED + _QUOTE + rb"([A-Za-z]*[a-z][A-Za-z]*)" + _QUOTE_END, _letters
    ),
    Place(
        rb"(?i:passw(?:or)?d|passphrase)(?:[ \t]|\\t)*[:=](?:[ \t]|\\t)*([A-Za-z]*[a-z][A-Za-z]*)(?:[\n\r]|\\[nr]|\z)",
        _letters,
    ),
)
