/** Elements without React, for what is drawn before it has come. */
import { codeOf, describe, invisibleParts } from "../../log/terminal/invisible";

type Attributes = Readonly<Record<string, string | number | undefined>>;

/** An element; attributes that are `undefined` are left out, and so is a child that is `null`. Texts stay texts. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes,
  ...children: readonly (Node | string | null)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined) made.setAttribute(name, String(value));
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** As `visible` of VisibleText.tsx. */
export function visible(text: string): readonly (Node | string)[] {
  return invisibleParts(text)?.map((part) => (part.isInvisible ? boxOf(part.text) : part.text)) ?? [text];
}

export function boxOf(character: string): HTMLElement {
  const title = describe(character);
  const attributes = { role: "img", "aria-label": title, title, "data-code": codeOf(character) };
  return element("span", { class: "invisible", ...attributes }, character);
}
