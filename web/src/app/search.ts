// Data of the search field in the header, loaded when the field gets the focus.

import type { Manifest } from "../contract/generated";
import { loadClasses } from "../data/classes";
import { loadFeatures } from "../data/features";
import { loadHeads } from "../data/heads";
import { loadPrompts, shortId } from "../data/prompts";
import { classes as classesParam, feature as featureParam, prompts as promptsParam } from "../state/params";
import { link } from "../state/url";
import { promptLine } from "../views/prompt-label/view";
import { listedPages } from "./pages";
import { loadLabels } from "../data/explanations";
import type { SearchData, SearchPlace } from "../views/head-search/api";

export { HeadSearch } from "../views/head-search/view";

/** Load classes and scores; null before the field had the focus, when only names are completed. */
export async function loadSearchData(
  manifest: Manifest,
  asked: boolean,
): Promise<SearchData | null> {
  if (!asked) return null;
  const [classes, heads, labels, { features }, prompts] = await Promise.all([
    loadClasses(manifest),
    loadHeads(manifest),
    loadLabels(manifest),
    loadFeatures(manifest),
    loadPrompts(manifest),
  ]);
  const places: SearchPlace[] = [
    ...listedPages(manifest).map(({ name, title }) => ({ title, note: "page", href: () => link(name) })),
    ...classes.map(({ name, rows }) => ({
      title: name,
      note: `class, ${rows.length} heads here`,
      href: () => link("classes", classesParam.to([name])),
    })),
    ...features.map(({ name, large }) => ({
      title: name,
      note: `feature: ${large}`,
      href: () => link("features", featureParam.to(name)),
    })),
    ...prompts.filter((prompt) => prompt.viewable).map((prompt) => ({
      title: promptLine(prompt.text, 60),
      note: "prompt of the workbench",
      href: () => link("home", promptsParam.to([shortId(prompt)])),
    })),
  ];
  return { classes, heads, labels, places };
}
