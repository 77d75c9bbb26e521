/**
 * Text that somebody else wrote: nothing in it is invisible, and nothing in it reorders what stands around it.
 *
 * A box has the character in it, so that what is copied and searched is the real text; the label is drawn by the style
 * sheet. The character's effect ends with the box, which is isolated.
 */
import type { ReactNode } from "react";
import { codeOf, describe, invisibleParts } from "../../log/terminal/invisible";

/** The text with boxes for invisible characters. For places that are isolated already, such as lines of code. */
export function visible(text: string): ReactNode {
  return (
    invisibleParts(text)?.map((part, at) =>
      // oxlint-disable-next-line react/no-array-index-key -- the parts of a text have no other name
      part.isInvisible ? <Invisible key={at} character={part.text} /> : part.text,
    ) ?? text
  );
}

export function Invisible({ character }: { readonly character: string }) {
  const description = describe(character);
  return (
    <span
      className="invisible"
      // oxlint-disable-next-line jsx-a11y/prefer-tag-over-role -- an img element holds no text to copy
      role="img"
      aria-label={description}
      title={description}
      data-code={codeOf(character)}
    >
      {character}
    </span>
  );
}

/** A name within a sentence or beside other text, isolated from it. */
export function Foreign({ children }: { readonly children: string }) {
  return <bdi>{visible(children)}</bdi>;
}
