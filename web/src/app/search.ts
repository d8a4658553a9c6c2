// Data of the search field in the header, loaded when the field gets the focus.

import type { Manifest } from "../contract/generated";
import { loadClasses } from "../data/classes";
import { loadLabels } from "../data/explanations";
import type { SearchData } from "../views/head-search/api";

export { HeadSearch } from "../views/head-search/view";

/** Load classes and scores; null before the field had the focus, when only names are completed. */
export async function loadSearchData(
  manifest: Manifest,
  asked: boolean,
): Promise<SearchData | null> {
  if (!asked) return null;
  const [classes, labels] = await Promise.all([loadClasses(manifest), loadLabels(manifest)]);
  return { classes, heads: labels.heads, labels };
}
