/** What the palette offers, and in which order. Pure. */
import { type JobStatus, readRow } from "../../api/job";
import { type JsonObject, isObject } from "../../stream/json";
import { type Action, type ActionName, keyLine, labelOf } from "../keys";

interface Named {
  readonly id: string;
  readonly name: string;
}

export type Choice =
  | (Named & { readonly kind: "action"; readonly under: string; readonly run: Action })
  | (Named & { readonly kind: "page"; readonly path: string })
  | (Named & {
      readonly kind: "job";
      readonly path: string;
      readonly under: string;
      readonly status: JobStatus;
    });

const PAGES: readonly (readonly [name: string, path: string])[] = [
  ["Jobs", "/"],
  ["Pipelines", "/pipelines"],
  ["Runs", "/runs"],
  ["System", "/system"],
];

export function pageChoices(): readonly Choice[] {
  return PAGES.map(([name, path]) => ({ kind: "page", id: `page ${path}`, name, path }));
}

export function actionChoices(bound: ReadonlyMap<ActionName, Action>): readonly Choice[] {
  return [...bound].flatMap(([name, run]) => {
    const { says, keys, offered } = keyLine(name);
    if (!offered) return [];
    return { kind: "action", id: `action ${name}`, name: says, under: labelOf(keys[0] ?? ""), run };
  });
}

/** All jobs, newest first. */
export function jobChoices(rows: JsonObject): readonly Choice[] {
  const jobs = Object.entries(rows).flatMap(([id, row]) => (isObject(row) ? [readRow(id, row)] : []));
  const age = (job: (typeof jobs)[number]): number => job.createdAt ?? job.startedAt ?? 0;
  return jobs
    .toSorted((one, other) => age(other) - age(one))
    .map((job) => ({
      kind: "job",
      id: `job ${job.id}`,
      name: job.name ?? job.prompt ?? job.command ?? job.id,
      path: `/jobs/${encodeURIComponent(job.id)}`,
      under: job.id,
      status: job.status,
    }));
}

/**
 * The choices in which every word of the text occurs, in their order but for one thing: those whose name begins with
 * the text come first.
 */
export function ranked(choices: readonly Choice[], text: string): readonly Choice[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return choices;
  const words = wanted.split(/ +/);
  const found = choices.filter((choice) => {
    const said = `${choice.name} ${"under" in choice ? choice.under : ""}`.toLowerCase();
    return words.every((word) => said.includes(word));
  });
  const begins = (choice: Choice): boolean => choice.name.toLowerCase().startsWith(wanted);
  return [...found.filter(begins), ...found.filter((choice) => !begins(choice))];
}
