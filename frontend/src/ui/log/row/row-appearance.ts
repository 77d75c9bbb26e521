/** What a line's row looks like by what it is: pure, for the rows of the page and for those of its first screen. */
import { isGroupEnd } from "../../../log/line-marks";
import type { LineRow } from "../../../log/log-rows";

/** What a line's stream is called where it is not the usual one. */
export const STREAM_NAMES: Readonly<Record<LineRow["stream"], string | undefined>> = {
  stdout: undefined,
  stderr: "standard error",
  system: "system",
  error: "error",
};

export function rowClasses(
  row: LineRow,
  { raw, isError }: { readonly raw: boolean; readonly isError: boolean },
): string {
  const classes = ["row", row.stream, isError && "wrong", !raw && isGroupEnd(row.text) && "closing"];
  return classes.filter(Boolean).join(" ");
}
