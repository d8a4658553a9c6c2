// Classes that the page shows.

import type { ClassTag, HeadClass, Score } from "../../contract/generated";

/** Filters of the page. */
export interface ClassFilter {
  /** Words that must all occur in the name, group, description or papers. */
  words: string;
  /** Title of a paper; empty is any. */
  paper: string;
  kind: "any" | "literature" | "computed";
  /** Only classes with heads in this atlas. */
  present: boolean;
}

/** Return the papers about heads of this atlas, by the name of the class. */
export function papersByClass(tags: readonly ClassTag[]): Map<string, Map<string, string>> {
  const papers = new Map<string, Map<string, string>>();
  for (const tag of tags) {
    if (tag.paper === "") continue;
    const known = papers.get(tag.head_class) ?? new Map<string, string>();
    known.set(tag.paper, tag.url);
    papers.set(tag.head_class, known);
  }
  return papers;
}

/** Return the classes that pass the filters, in their order. */
export function chooseClasses(
  classes: readonly HeadClass[],
  papers: ReadonlyMap<string, ReadonlyMap<string, string>>,
  filter: ClassFilter,
): HeadClass[] {
  const words = filter.words.toLowerCase().split(/\s+/).filter(Boolean);
  return classes.filter((headClass) => {
    const cited = [...(papers.get(headClass.name)?.keys() ?? [])];
    if (filter.kind !== "any" && headClass.kind !== filter.kind) return false;
    if (filter.present && headClass.rows.length === 0) return false;
    if (filter.paper !== "" && !cited.includes(filter.paper)) return false;
    const all = [headClass.name, headClass.group, headClass.description, ...cited].join("\n").toLowerCase();
    return words.every((word) => all.includes(word));
  });
}

/** Return the tags of one class on which sources disagree. */
export function conflictsOf(tags: readonly ClassTag[], name: string): ClassTag[] {
  return tags.filter((tag) => tag.head_class === name && tag.conflict !== "");
}

/** Return the classes of every head, in the order of the classes. */
export function byHead(classes: readonly HeadClass[]): Map<number, HeadClass[]> {
  const heads = new Map<number, HeadClass[]>();
  for (const headClass of classes) {
    for (const row of headClass.rows) {
      const list = heads.get(row);
      if (list) list.push(headClass);
      else heads.set(row, [headClass]);
    }
  }
  return heads;
}

/** Return the behaviour score that measures a class: the one of its name; null if there is none. */
export function scoreOf(headClass: Pick<HeadClass, "name">, scores: readonly Score[]): Score | null {
  const name = headClass.name.replace(/ \(computed\)$/, "");
  return scores.find((score) => score.name === name) ?? null;
}

/** Return rows with the highest value first, missing values last; without values in the same order. */
export function byScore(rows: readonly number[], values: ArrayLike<number> | null): number[] {
  const value = (row: number) => {
    const known = values?.[row] ?? Number.NaN;
    return Number.isFinite(known) ? known : Number.NEGATIVE_INFINITY;
  };
  return [...rows].sort((a, b) => value(b) - value(a) || a - b);
}

/** Return the classes with heads in this atlas first, in either part in the same order. */
export function presentFirst(classes: readonly HeadClass[]): HeadClass[] {
  const absent = ({ rows }: HeadClass) => Number(rows.length === 0);
  return [...classes].sort((a, b) => absent(a) - absent(b));
}
