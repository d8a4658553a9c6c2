// Classes of heads, from the literature and from behaviour scores.

import type { ClassTag, HeadClass, Manifest } from "../contract/generated";
import { json, once } from "./source";

/** Load all classes. */
export function loadClasses(manifest: Manifest): Promise<HeadClass[]> {
  return json<HeadClass[]>(manifest.classes);
}

/** Load the tags of the literature: one entry per source and head. */
export function loadTags(manifest: Manifest): Promise<ClassTag[]> {
  return json<ClassTag[]>(manifest.tags);
}

/** A class of one head, with the tags of its sources. */
export interface TaggedClass {
  class: HeadClass;
  tags: ClassTag[];
}

/** Load the classes of every head. Heads without a class are not in the map. */
export function loadClassesByHead(manifest: Manifest): Promise<Map<number, TaggedClass[]>> {
  return once("classes by head", async () => {
    const [classes, tags] = await Promise.all([loadClasses(manifest), loadTags(manifest)]);
    return classesByHead(classes, tags);
  });
}

/** Group classes and tags by head. */
export function classesByHead(classes: HeadClass[], tags: ClassTag[]): Map<number, TaggedClass[]> {
  const byHead = new Map<number, TaggedClass[]>();
  const cited = groupTags(tags);
  for (const headClass of classes) {
    for (const row of headClass.rows) {
      const list = byHead.get(row) ?? [];
      list.push({ class: headClass, tags: cited.get(`${row} ${headClass.name}`) ?? [] });
      byHead.set(row, list);
    }
  }
  return byHead;
}

function groupTags(tags: ClassTag[]): Map<string, ClassTag[]> {
  const groups = new Map<string, ClassTag[]>();
  for (const tag of tags) {
    const key = `${tag.row} ${tag.head_class}`;
    const group = groups.get(key);
    if (group) group.push(tag);
    else groups.set(key, [tag]);
  }
  return groups;
}

/** Return the rows of heads in at least one of the named classes; null if no class is named. */
export function rowsOfClasses(classes: HeadClass[], names: string[]): Set<number> | null {
  if (names.length === 0) return null;
  return new Set(classes.filter((headClass) => names.includes(headClass.name)).flatMap((item) => item.rows));
}
