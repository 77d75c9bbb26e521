/** How the rows of a log are shown: what the reader chose, and when the job began. The viewer provides it, once. */
import { createContext, useContext } from "react";
import type { TimestampMode } from "./timestamps";

export interface LogAppearance {
  readonly timestamps: TimestampMode;
  /** Control characters are shown, not obeyed; then the rows' texts are as they came. */
  readonly raw: boolean;
  /** Milliseconds since the epoch. */
  readonly startedAt?: number | undefined;
}

const USUAL: LogAppearance = { timestamps: "off", raw: false };

export const LogAppearanceContext = createContext<LogAppearance>(USUAL);

export function useLogAppearance(): LogAppearance {
  return useContext(LogAppearanceContext);
}
