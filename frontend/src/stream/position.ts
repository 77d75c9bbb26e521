/**
 * Positions: the event ids of Fantail, `<offset>-<tag>`, and `<offset>-<tag>.end` for the frame that ends a stream.
 *
 * A client never computes one. It gives back the last that it was given, and reads two things off it: the offset,
 * which is the line's index in its list, and whether the stream is over.
 */

/** What an event id says. `offset` counts from 0. */
export interface Position {
  readonly offset: number;
  readonly ended: boolean;
}

const SHAPE = /^(\d{1,15})-[0-9A-Za-z._-]{1,112}$/;

/** Reads an event id; `null` where it is of another make (another server's, or none). */
export function parsePosition(id: string | null | undefined): Position | null {
  const match = typeof id === "string" ? SHAPE.exec(id) : null;
  if (!match) return null;
  return { offset: Number(match[1]), ended: endsStream(id as string) };
}

/** The position of a record, without the mark of the end. */
export function withoutEnd(id: string): string {
  return endsStream(id) ? id.slice(0, -".end".length) : id;
}

/** Whether an event with this id is the last of its stream: a server answers it with 204. */
export function endsStream(id: string): boolean {
  return id.endsWith(".end");
}
