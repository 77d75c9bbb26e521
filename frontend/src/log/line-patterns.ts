/**
 * How lines look that say that something went wrong, or that a group begins or ends: patterns, and nothing else.
 *
 * The twin of src/web/logscan/line_patterns.py, which says why they are as they are; a test compares the two character by
 * character, and tests/conformance/line-marks.json has the cases that hold both.
 */

export const TIME = String.raw`(?:\[?[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:[.,][0-9]{1,9})?(?:Z|[+-][0-9:]{4,6})?\]?[ \t]+|\[?[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?\]?[ \t]+)`;
// What may stand in front of a message: the time, a step of BuildKit, a service of Compose, something in brackets, the
// frame that Terraform draws.
export const LEAD = String.raw`^(?:<TIME>|#[0-9]{1,6} (?:[0-9]+\.[0-9]+ )?|[A-Za-z][A-Za-z0-9_.-]{0,63} *\| |\[[^\[\]\n]{1,40}\] +|│ ){0,4}`;
// Between the time and the level: a dash, something in brackets, a number, a name in small letters.
export const BETWEEN = String.raw`(?:(?:-|\||\[[^\[\]\n]{0,64}\]|[0-9]{1,9}|[a-z_](?:[A-Za-z0-9_.:/$@-]*[A-Za-z0-9_])?)[ \t]+){0,3}`;
// Shapes that nothing else has.
export const CERTAIN: readonly string[] = [
  // runners
  String.raw`^(?:<TIME>)?(?:##\[error\]|::error(?: [^\n]*)?::|##vso\[task\.logissue type=error)`,
  // Python
  String.raw`^(?:  \+ Exception Group )?Traceback \(most recent call last\):`,
  String.raw`^E {3,}(?:assert |(?:[A-Za-z_][A-Za-z0-9_]*\.)*[A-Za-z0-9_]*(?:Error|Exception)(?:[: ]|$)|Failed: )`,
  String.raw`^(?:=+ )?(?:[0-9]+ [a-z]+, )*[1-9][0-9]* (?:failed|errors?)(?:, [^\n]*)? in [0-9.]+s`,
  String.raw`^!+ Interrupted: [1-9][0-9]* errors? during collection`,
  String.raw`^[A-Za-z0-9_./@~][^ :\n]*::[^\n]+ (?:FAILED|ERROR)(?: +\[ *[0-9]+%\])? *$`,
  String.raw`^test[^\n]* \.\.\. (?:FAIL|FAILED|ERROR) *$`,
  String.raw`^test result: FAILED`,
  // Rust
  String.raw`^thread '[^'\n]*' (?:\([0-9]+\) )?panicked at `,
  // Go
  String.raw`^ {0,16}--- FAIL: `,
  String.raw`^FAIL(?:$|\t)`,
  String.raw`^[A-Za-z0-9_./@~][^ \t\n]*\.go:[0-9]+:[0-9]+: (?:undefined: |cannot |syntax error|declared and not used|\"[^\"\n]*\" imported and not used)`,
  String.raw`^panic: `,
  String.raw`^exit status [1-9][0-9]*$`,
  // JavaScript
  String.raw`^ ?FAIL {1,2}[A-Za-z0-9_@./|\[-]`,
  String.raw`^ *[✕✗×] [^\n]+ \(?[0-9.]+ ?m?s\)?$`,
  String.raw`^ *(?:Test Files|Tests:?|Test Suites:) +[1-9][0-9]* failed`,
  String.raw`^ {2}[1-9][0-9]* failing$`,
  String.raw`^ +[0-9]+:[0-9]+ +error  `,
  String.raw`^✖ [1-9][0-9]* problems? \([1-9]`,
  String.raw`^npm (?:ERR!|error) `,
  String.raw`^error Command failed `,
  String.raw`^ ?(?:ERR_PNPM_[A-Z0-9_]+|ELIFECYCLE) `,
  // summaries
  String.raw`^[1-9][0-9]* errors? generated`,
  // builders
  String.raw`^g?make(?:\[[0-9]+\])?: \*\*\* `,
  String.raw`^ninja: build stopped: `,
  String.raw`^> Task [^ \n]+ FAILED$`,
  String.raw`^FAILURE: Build failed `,
  String.raw`^(?:\[INFO\] )?BUILD FAIL(?:ED|URE)`,
  String.raw`^\[  FAILED  \] [^\n]`,
  String.raw`^ *[0-9]+/[0-9]+ Test +#[0-9]+: [^\n]*\*\*\*(?:Failed|Exception|Timeout|Not Run)`,
  String.raw`^[A-Za-z0-9_./@~][^ \n]*: (?:[^\n]*: )?undefined reference to [^ A-Za-z0-9]`,
  // shells and programs that die
  String.raw`^(?:[A-Za-z0-9_./@~][^ :\n]*: (?:line )?[0-9]+: +[0-9]+ )?(?:Segmentation fault|Aborted|Bus error|Floating point exception|Illegal instruction|Killed)(?: +\(core dumped\)|$)`,
  String.raw`^[A-Za-z0-9_./-]*sh: (?:line )?[0-9]+: [^\n]*: not found$`,
  String.raw`^[A-Za-z]+: command not found: `,
  String.raw`^[A-Za-z0-9_./@~][^ :\n]*: [^ :\n]+:[0-9]+: [^\n]*: Assertion `,
  String.raw`^terminate called after throwing an instance of `,
  String.raw`^==[0-9]+==ERROR: `,
  String.raw`^curl: \([1-9][0-9]*\) `,
  // git
  String.raw`^ ! \[(?:remote )?rejected\] `,
  String.raw`^CONFLICT \([a-z/ ]+\): `,
  // structured logs
  String.raw`^(?:(?:time|ts|t|caller|logger)=(?:\"[^\"\n]*\"|[^ \"\n]*) )*(?:level|lvl)=\"?(?:error|fatal|panic|dpanic|crit|critical)\"?(?: |$)`,
  String.raw`^\{[^\n]*\"(?:level|lvl|severity)\": ?(?:\"(?:error|fatal|panic|dpanic|critical|ERROR|FATAL|PANIC|CRITICAL)\"|[56]0[,}])`,
  String.raw`^E[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]+ `,
  // Elixir, Ruby, PHP
  String.raw`^\*\* \([A-Z][A-Za-z0-9_.]*Error\) `,
  String.raw`^[A-Za-z0-9_./@~][^ \n]*:[0-9]+:in [^\n]*\([A-Z][A-Za-z0-9_:]*(?:Error|Exception)\)$`,
  String.raw`^PHP (?:Fatal|Parse) error: `,
];
// Shapes of errors, unless one of UNLESS is there too.
export const LIKELY: readonly string[] = [
  String.raw`<LEAD>(?:error|Error|ERROR|fatal|Fatal|FATAL|fatal error|Fatal error)(?:\[[A-Za-z0-9_:-]+\])?: *[^ \n]`,
  String.raw`<LEAD>[A-Za-z0-9_./@~](?:[^ \t\n:()]*|[^ \t\n]*\([0-9]+(?:,[0-9]+)?\)|[^ \t\n]*:[0-9]+(?::[0-9]+)?)(?: ?:| -) (?:fatal )?error(?: [A-Z]+[0-9]+)?: `,
  String.raw`<LEAD>error [A-Z]{1,8}[0-9]+: `,
  String.raw`<LEAD>(?:Uncaught |Unhandled exception\. |Caused by: |Exception in thread \"[^\"\n]*\" )?(?:[A-Za-z_][A-Za-z0-9_$]*[.])*[A-Z][A-Za-z0-9_]*(?:Error|Exception)(?: \[[A-Z0-9_]+\])?(?:: |:$)`,
  String.raw`<LEAD>(?:Uncaught |Unhandled exception\. |Exception in thread \"[^\"\n]*\" )[A-Za-z]`,
  String.raw`<LEAD>\[?(?:ERROR|FATAL)(?:\]|[ :\t])[ :\t]*[^ :=\t\n]`,
  String.raw`<LEAD>\[?(?:CRITICAL|SEVERE|PANIC)(?:\]|:)[ \t]*[^ \t\n]`,
  String.raw`<LEAD>(?:FAILED|FAIL)(?:: | \(| +[A-Za-z0-9_.]+[/.:])`,
  String.raw`<LEAD>FAILED$`,
  String.raw`^ *not ok [0-9]+`,
  String.raw`^Found [1-9][0-9]* errors?(?: |\.|$)`,
  String.raw`^(?:-[a-z]{0,3}sh|[A-Za-z0-9_./][A-Za-z0-9_./+-]*): (?:[^\n]*: )?(?:command not found|No such file or directory|Permission denied)$`,
  String.raw`<LEAD>Error response from daemon: `,
  String.raw`^<TIME><BETWEEN>\[?(?:ERROR|FATAL|CRITICAL|SEVERE)\]?[ \t:|-]`,
  String.raw`^(?:<TIME>)?<BETWEEN>\[(?:error|crit|alert|emerg|fatal)\][ :]`,
];
// What takes it back: the message is a value and says that there is none, or the line is of a lower level.
export const UNLESS: readonly string[] = [
  String.raw`<LEAD>(?:error|Error|ERROR|FAIL|FAILED): *(?:[0-9.eE+%-]+|none|None|null|nil|false|False|no|undefined|\"\"|\[\]|\{\})? *$`,
  String.raw`<LEAD>\[? *(?:INFO|DEBUG|TRACE|NOTICE|WARN|WARNING|info|debug|trace|notice|warn|warning|note|hint|help) *(?:\]|[ :|\t-])`,
  String.raw`^<TIME><BETWEEN>\[? *(?:INFO|DEBUG|TRACE|NOTICE|WARN|WARNING|info|debug|trace|notice|warn|warning|note|hint|help) *(?:\]|[ :|\t-])`,
  String.raw`^ *not ok [^\n]*# *(?:TODO|SKIP|todo|skip)`,
  String.raw`^[A-Z]+: (?:Final|ClassVar|str|int)[^=\n]* = `,
  String.raw`^Found [0-9]+ errors? \([0-9]+ fixed, 0 remaining\)`,
  String.raw`^[^ \n]+: (?:warning|note|hint|info|debug): `,
];
// Whatever has to do with groups; then what it is.
export const GROUP = String.raw`^(?:(?:<TIME>)?(?:::group::|::endgroup::|##\[group\]|##\[endgroup\])|--- |\+\+\+ |~~~ |@@ -)`;
export const COMMAND = String.raw`^(?:<TIME>)?(?:::group::|##\[group\])([^\n]*)$`;
export const COMMAND_END = String.raw`^(?:<TIME>)?(?:::endgroup::|##\[endgroup\])`;
export const HEADER = String.raw`^(?:---|\+\+\+|~~~) +([^\n]*[^ \n]) *$`;
export const NO_HEADER = String.raw`^--- (?:(?:FAIL|PASS|SKIP|BENCH): |[^\n]*---$)`;
export const TRACE = String.raw`^(?:\+|\+\+|\+\+\+\++) `;
export const HUNK = String.raw`^@@ -[0-9]+(?:,([0-9]+))? \+[0-9]+(?:,([0-9]+))? @@`;
