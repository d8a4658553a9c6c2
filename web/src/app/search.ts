// What the search of the header completes from; loaded when it gets the focus.

import type { Manifest } from "../contract/generated";
import { loadClasses } from "../data/classes";
import { loadHeads } from "../data/heads";
import type { SearchData } from "../views/head-search/api";

export { HeadSearch } from "../views/head-search/view";

/** Classes and scores; null before they are asked for, when names alone are completed. */
export async function loadSearchData(
  manifest: Manifest,
  asked: boolean,
): Promise<SearchData | null> {
  if (!asked) return null;
  const [classes, heads] = await Promise.all([loadClasses(manifest), loadHeads(manifest)]);
  return { classes, heads };
}
