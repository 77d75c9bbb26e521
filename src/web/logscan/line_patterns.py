r"""How lines look that say that something went wrong, or that a group begins or ends: patterns, and nothing else.

They stand here and once more in frontend/src/log/line-patterns.ts, character by character, which a test compares; the
cases that hold both are in tests/conformance/line-marks.json. So they are written in what RE2 and JavaScript read alike:
no `\s`, `\w`, `\b` and `.`, which differ, and no looking ahead, which RE2 has not. Each begins at the start of its line, and
is linear in both (trap 45). `<TIME>`, `<LEAD>` and `<BETWEEN>` stand for the first three.

An error announces itself at the beginning of its line, unindented, behind at most the time, the level or the name
that a logger or a runner puts there. That keeps out what merely speaks of errors: a diff's lines begin with `+`, `-` or
a space, a commit's message and a quotation are indented, sources and lists begin with something else. The few shapes that
are indented by nature (a linter's, a test runner's) are given as exactly as they are printed. Where it is not
clear, a line is no error: a mark too many sends its reader to the wrong place, while the line that says how it all ended
(`FAILED`, `exit status 1`, `make: ***`) is hardly ever missing. Decided against: levels of confidence, which a reader
would have to learn; and taking stderr for errors, where half of all programs report their progress.
"""

# ruff: noqa: E501 (a pattern stands on one line, as in its twin)

from __future__ import annotations

from typing import Final

TIME: Final = (
    r"(?:\[?[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:[.,][0-9]{1,9})?(?:Z|[+-][0-9:]{4,6})?\]?[ \t]+"
    r"|\[?[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?\]?[ \t]+)"
)
# What may stand in front of a message: the time, a step of BuildKit, a service of Compose, something in brackets, the
# frame that Terraform draws.
LEAD: Final = (
    r"^(?:<TIME>|#[0-9]{1,6} (?:[0-9]+\.[0-9]+ )?|[A-Za-z][A-Za-z0-9_.-]{0,63} *\| |\[[^\[\]\n]{1,40}\] +|│ ){0,4}"
)
# Between the time and the level: a dash, something in brackets, a number, a name in small letters.
BETWEEN: Final = r"(?:(?:-|\||\[[^\[\]\n]{0,64}\]|[0-9]{1,9}|[a-z_](?:[A-Za-z0-9_.:/$@-]*[A-Za-z0-9_])?)[ \t]+){0,3}"
# Shapes that nothing else has.
CERTAIN: Final = (
    # runners
    r"^(?:<TIME>)?(?:##\[error\]|::error(?: [^\n]*)?::|##vso\[task\.logissue type=error)",
    # Python
    r"^(?:  \+ Exception Group )?Traceback \(most recent call last\):",
    r"^E {3,}(?:assert |(?:[A-Za-z_][A-Za-z0-9_]*\.)*[A-Za-z0-9_]*(?:Error|Exception)(?:[: ]|$)|Failed: )",
    r"^(?:=+ )?(?:[0-9]+ [a-z]+, )*[1-9][0-9]* (?:failed|errors?)(?:, [^\n]*)? in [0-9.]+s",
    r"^!+ Interrupted: [1-9][0-9]* errors? during collection",
    r"^[A-Za-z0-9_./@~][^ :\n]*::[^\n]+ (?:FAILED|ERROR)(?: +\[ *[0-9]+%\])? *$",
    r"^test[^\n]* \.\.\. (?:FAIL|FAILED|ERROR) *$",
    r"^test result: FAILED",
    # Rust
    r"^thread '[^'\n]*' (?:\([0-9]+\) )?panicked at ",
    # Go
    r"^ {0,16}--- FAIL: ",
    r"^FAIL(?:$|\t)",
    r"^[A-Za-z0-9_./@~][^ \t\n]*\.go:[0-9]+:[0-9]+: (?:undefined: |cannot |syntax error|declared and not used|\"[^\"\n]*\" imported and not used)",
    r"^panic: ",
    r"^exit status [1-9][0-9]*$",
    # JavaScript
    r"^ ?FAIL {1,2}[A-Za-z0-9_@./|\[-]",
    r"^ *[✕✗×] [^\n]+ \(?[0-9.]+ ?m?s\)?$",
    r"^ *(?:Test Files|Tests:?|Test Suites:) +[1-9][0-9]* failed",
    r"^ {2}[1-9][0-9]* failing$",
    r"^ +[0-9]+:[0-9]+ +error  ",
    r"^✖ [1-9][0-9]* problems? \([1-9]",
    r"^npm (?:ERR!|error) ",
    r"^error Command failed ",
    r"^ ?(?:ERR_PNPM_[A-Z0-9_]+|ELIFECYCLE) ",
    # summaries
    r"^[1-9][0-9]* errors? generated",
    # builders
    r"^g?make(?:\[[0-9]+\])?: \*\*\* ",
    r"^ninja: build stopped: ",
    r"^> Task [^ \n]+ FAILED$",
    r"^FAILURE: Build failed ",
    r"^(?:\[INFO\] )?BUILD FAIL(?:ED|URE)",
    r"^\[  FAILED  \] [^\n]",
    r"^ *[0-9]+/[0-9]+ Test +#[0-9]+: [^\n]*\*\*\*(?:Failed|Exception|Timeout|Not Run)",
    r"^[A-Za-z0-9_./@~][^ \n]*: (?:[^\n]*: )?undefined reference to [^ A-Za-z0-9]",
    # shells and programs that die
    r"^(?:[A-Za-z0-9_./@~][^ :\n]*: (?:line )?[0-9]+: +[0-9]+ )?(?:Segmentation fault|Aborted|Bus error|Floating point exception|Illegal instruction|Killed)(?: +\(core dumped\)|$)",
    r"^[A-Za-z0-9_./-]*sh: (?:line )?[0-9]+: [^\n]*: not found$",
    r"^[A-Za-z]+: command not found: ",
    r"^[A-Za-z0-9_./@~][^ :\n]*: [^ :\n]+:[0-9]+: [^\n]*: Assertion ",
    r"^terminate called after throwing an instance of ",
    r"^==[0-9]+==ERROR: ",
    r"^curl: \([1-9][0-9]*\) ",
    # git
    r"^ ! \[(?:remote )?rejected\] ",
    r"^CONFLICT \([a-z/ ]+\): ",
    # structured logs
    r"^(?:(?:time|ts|t|caller|logger)=(?:\"[^\"\n]*\"|[^ \"\n]*) )*(?:level|lvl)=\"?(?:error|fatal|panic|dpanic|crit|critical)\"?(?: |$)",
    r"^\{[^\n]*\"(?:level|lvl|severity)\": ?(?:\"(?:error|fatal|panic|dpanic|critical|ERROR|FATAL|PANIC|CRITICAL)\"|[56]0[,}])",
    r"^E[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]+ ",
    # Elixir, Ruby, PHP
    r"^\*\* \([A-Z][A-Za-z0-9_.]*Error\) ",
    r"^[A-Za-z0-9_./@~][^ \n]*:[0-9]+:in [^\n]*\([A-Z][A-Za-z0-9_:]*(?:Error|Exception)\)$",
    r"^PHP (?:Fatal|Parse) error: ",
)
# Shapes of errors, unless one of UNLESS is there too.
LIKELY: Final = (
    r"<LEAD>(?:error|Error|ERROR|fatal|Fatal|FATAL|fatal error|Fatal error)(?:\[[A-Za-z0-9_:-]+\])?: *[^ \n]",
    r"<LEAD>[A-Za-z0-9_./@~](?:[^ \t\n:()]*|[^ \t\n]*\([0-9]+(?:,[0-9]+)?\)|[^ \t\n]*:[0-9]+(?::[0-9]+)?)(?: ?:| -) (?:fatal )?error(?: [A-Z]+[0-9]+)?: ",
    r"<LEAD>error [A-Z]{1,8}[0-9]+: ",
    r"<LEAD>(?:Uncaught |Unhandled exception\. |Caused by: |Exception in thread \"[^\"\n]*\" )?(?:[A-Za-z_][A-Za-z0-9_$]*[.])*[A-Z][A-Za-z0-9_]*(?:Error|Exception)(?: \[[A-Z0-9_]+\])?(?:: |:$)",
    r"<LEAD>(?:Uncaught |Unhandled exception\. |Exception in thread \"[^\"\n]*\" )[A-Za-z]",
    r"<LEAD>\[?(?:ERROR|FATAL)(?:\]|[ :\t])[ :\t]*[^ :=\t\n]",
    r"<LEAD>\[?(?:CRITICAL|SEVERE|PANIC)(?:\]|:)[ \t]*[^ \t\n]",
    r"<LEAD>(?:FAILED|FAIL)(?:: | \(| +[A-Za-z0-9_.]+[/.:])",
    r"<LEAD>FAILED$",
    r"^ *not ok [0-9]+",
    r"^Found [1-9][0-9]* errors?(?: |\.|$)",
    r"^(?:-[a-z]{0,3}sh|[A-Za-z0-9_./][A-Za-z0-9_./+-]*): (?:[^\n]*: )?(?:command not found|No such file or directory|Permission denied)$",
    r"<LEAD>Error response from daemon: ",
    r"^<TIME><BETWEEN>\[?(?:ERROR|FATAL|CRITICAL|SEVERE)\]?[ \t:|-]",
    r"^(?:<TIME>)?<BETWEEN>\[(?:error|crit|alert|emerg|fatal)\][ :]",
)
# What takes it back: the message is a value and says that there is none, or the line is of a lower level.
UNLESS: Final = (
    r"<LEAD>(?:error|Error|ERROR|FAIL|FAILED): *(?:[0-9.eE+%-]+|none|None|null|nil|false|False|no|undefined|\"\"|\[\]|\{\})? *$",
    r"<LEAD>\[? *(?:INFO|DEBUG|TRACE|NOTICE|WARN|WARNING|info|debug|trace|notice|warn|warning|note|hint|help) *(?:\]|[ :|\t-])",
    r"^<TIME><BETWEEN>\[? *(?:INFO|DEBUG|TRACE|NOTICE|WARN|WARNING|info|debug|trace|notice|warn|warning|note|hint|help) *(?:\]|[ :|\t-])",
    r"^ *not ok [^\n]*# *(?:TODO|SKIP|todo|skip)",
    r"^[A-Z]+: (?:Final|ClassVar|str|int)[^=\n]* = ",
    r"^Found [0-9]+ errors? \([0-9]+ fixed, 0 remaining\)",
    r"^[^ \n]+: (?:warning|note|hint|info|debug): ",
)
# Whatever has to do with groups; then what it is.
GROUP: Final = r"^(?:(?:<TIME>)?(?:::group::|::endgroup::|##\[group\]|##\[endgroup\])|--- |\+\+\+ |~~~ |@@ -)"
COMMAND: Final = r"^(?:<TIME>)?(?:::group::|##\[group\])([^\n]*)$"
COMMAND_END: Final = r"^(?:<TIME>)?(?:::endgroup::|##\[endgroup\])"
HEADER: Final = r"^(?:---|\+\+\+|~~~) +([^\n]*[^ \n]) *$"
NO_HEADER: Final = r"^--- (?:(?:FAIL|PASS|SKIP|BENCH): |[^\n]*---$)"
TRACE: Final = r"^(?:\+|\+\+|\+\+\+\++) "
HUNK: Final = r"^@@ -[0-9]+(?:,([0-9]+))? \+[0-9]+(?:,([0-9]+))? @@"
