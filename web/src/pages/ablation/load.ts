import type { HeadClass, Manifest } from "../../contract/generated";
import { loadAblationRows, type AblationRow } from "../../data/ablations";
import { loadClasses } from "../../data/classes";
import { loadHeads, type Heads } from "../../data/heads";

/** The data of the page; `rows` is null if nothing was ablated. */
export interface Loaded {
  rows: AblationRow[] | null;
  heads: Heads;
  classes: HeadClass[];
}

export async function loadAll(manifest: Manifest): Promise<Loaded> {
  const [rows, heads, classes] = await Promise.all([
    loadAblationRows(manifest),
    loadHeads(manifest),
    loadClasses(manifest),
  ]);
  return { rows, heads, classes };
}
