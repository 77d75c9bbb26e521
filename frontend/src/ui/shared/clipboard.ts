/**
 * Writing to the clipboard, also where the page came over plain HTTP: there is no `navigator.clipboard` then, but a copy
 * that the reader began (`copy`, or a command within a gesture) may be given its text.
 */
import { writeClipboard } from "../../stream/platform";

/** Writes a text now. The value is whether it was taken: without a gesture of the reader it is not. */
export async function writeText(text: string): Promise<boolean> {
  // Refused where the page is not in front, or without a gesture: the older way may still be open.
  return (await writeClipboard(text)) || copyByCommand(text);
}

/** Asks the browser to copy, and gives it the text when it asks what. */
function copyByCommand(text: string): boolean {
  let given = false;
  const give = (event: ClipboardEvent): void => {
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
    event.stopImmediatePropagation();
    given = true;
  };
  document.addEventListener("copy", give, { capture: true });
  try {
    return document.execCommand("copy") && given;
  } catch {
    return false;
  } finally {
    document.removeEventListener("copy", give, { capture: true });
  }
}
