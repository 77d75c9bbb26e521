/**
 * The JSON border: from text of unknown make to values with types.
 *
 * `JSON.parse` returns `any`. It is called here alone, so that no `any` comes further. The readers below take a
 * field only where it has the type asked for; a field of another type counts as absent, and nothing here throws:
 * one odd frame must not end a stream that is otherwise sound.
 */

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/** The value that `text` denotes, or `undefined` where it is not JSON. */
export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** The value that `text` denotes, or the text itself: what a frame's `data` says. */
export function jsonOrText(text: string): Json {
  const value = parseJson(text);
  return value === undefined ? text : value;
}

/** Whether the value is an object, not an array and not null. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether the value is an array. (`Array.isArray` does not narrow a readonly array.) */
export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** The own field of that name, or `undefined`. */
export function field(source: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(source, name) ? source[name] : undefined;
}

/** A field that is a string and not empty: Redis hashes write absence as `""`. */
export function text(source: JsonObject, name: string): string | undefined {
  const value = field(source, name);
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** A field that is a finite number, or a decimal string of one: Redis hashes hold only strings. */
export function number(source: JsonObject, name: string): number | undefined {
  const value = field(source, name);
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (typeof value !== "string" || value.trim() === "") return undefined;
  const parsed = Number(value);
  return Number.isFinite(parsed) ? parsed : undefined;
}

/** Whether a field is `true`, or the string `"true"` or `"1"`. */
export function flag(source: JsonObject, name: string): boolean {
  const value = field(source, name);
  return value === true || value === "true" || value === "1";
}
