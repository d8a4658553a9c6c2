// Which classes the page shows.

import type { ClassTag, HeadClass } from "../../contract/generated";

/** What the reader asks for. */
export interface ClassFilter {
  /** Words that all must be in the name, group, description or papers. */
  words: string;
  /** Title of a paper; empty is any. */
  paper: string;
  kind: "any" | "literature" | "computed";
  /** Only classes with heads in this atlas. */
  present: boolean;
}

/** Papers that speak of a class's heads in this atlas, by name of the class. */
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

/** The classes that pass, in their order. */
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

/** Heads that sources disagree on, of one class. */
export function conflictsOf(tags: readonly ClassTag[], name: string): ClassTag[] {
  return tags.filter((tag) => tag.head_class === name && tag.conflict !== "");
}

/** Classes of every head among the given ones, in the order of the classes. */
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
