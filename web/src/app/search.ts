// Data of the search field in the header, loaded when something is typed.

import type { ClassTag, Feature, HeadClass, Manifest, Prompt } from "../contract/generated";
import { loadClasses, loadTags } from "../data/classes";
import { clusteringId, loadLabels as loadClusters } from "../data/clusters";
import { loadLabels, loadMotifShares } from "../data/explanations";
import { loadFeatures } from "../data/features";
import { headName, loadHeads, type Heads } from "../data/heads";
import { loadPictures, meanPicture } from "../data/pictures";
import { loadPrompts, shortId } from "../data/prompts";
import { clustering as clusteringParam } from "../pages/clustering/cut";
import { paper as paperParam } from "../pages/classes/params";
import { keptNames, makeView, namesKey } from "../pages/clusters/model";
import { picked } from "../pages/clusters/params";
import { motifsOf, papersOf, plainName } from "../pages/clusters/portrait";
import { classes as classesParam, feature as featureParam, prompts as promptsParam, sort } from "../state/params";
import { stored } from "../state/stored";
import { link } from "../state/url";
import { figure } from "../views/chart/scale";
import type { SearchData, SearchPlace } from "../views/head-search/api";
import { highest } from "../views/head-search/suggest";
import { promptLine } from "../views/prompt-label/view";
import { listedPages } from "./pages";

export { HeadSearch } from "../views/head-search/view";

/** Clusters of each clustering that can be found, largest first. */
const CLUSTERS = 100;

/** Load what can be found; null before something is typed, when only names of heads are completed. */
export async function loadSearchData(
  manifest: Manifest,
  asked: boolean,
): Promise<SearchData | null> {
  if (!asked) return null;
  const [classes, heads, tags, labels, { features }, prompts] = await Promise.all([
    loadClasses(manifest),
    loadHeads(manifest),
    loadTags(manifest),
    loadLabels(manifest),
    loadFeatures(manifest),
    loadPrompts(manifest),
  ]);
  const places = [
    ...listedPages(manifest).map(({ name, title }) => ({ title, note: "page", href: () => link(name) })),
    ...behaviours(manifest, heads),
    ...classes.map(ofClass),
    ...(await clusters(manifest, heads, classes)),
    ...papers(manifest, tags),
    ...features.map(ofFeature),
    ...prompts.filter((prompt) => prompt.viewable).map(ofPrompt),
  ];
  const picture = async (rows: readonly number[]) => {
    const pictures = await loadPictures(manifest, rows);
    return pictures && meanPicture(pictures, rows);
  };
  return { classes, heads, labels, places, picture };
}

function behaviours(manifest: Manifest, heads: Heads): SearchPlace[] {
  return manifest.scores.flatMap((score) => {
    const [best] = highest({ heads }, score);
    if (!best) return [];
    return {
      title: `${score.name} score`,
      note: "behaviour, all heads by its score",
      value: `highest ${best[1].toFixed(2)}`,
      text: score.meaning,
      rows: [best[0]],
      href: () => link("heads", sort.to(`-${score.name} score`)),
    };
  });
}

function ofClass({ name, description, rows }: HeadClass): SearchPlace {
  return {
    title: name,
    note: "class",
    value: headsHere(rows.length),
    text: description,
    rows,
    href: () => link("classes", classesParam.to([name])),
  };
}

function ofFeature({ name, large, mean }: Feature): SearchPlace {
  return {
    title: name,
    note: `feature, large when ${large}`,
    value: `mean ${figure(mean)}`,
    href: () => link("features", featureParam.to(name)),
  };
}

function ofPrompt(prompt: Prompt): SearchPlace {
  return {
    title: promptLine(prompt.text, 60),
    note: "prompt",
    value: `${Math.max(...prompt.n_tokens)} tokens`,
    text: prompt.text,
    href: () => link("home", promptsParam.to([shortId(prompt)])),
  };
}

function papers(manifest: Manifest, tags: readonly ClassTag[]): SearchPlace[] {
  const every = Array.from({ length: manifest.n_heads }, (_, row) => row);
  return papersOf(every, tags).map(({ paper, heads }) => ({
    title: paper,
    note: "paper",
    value: headsHere(heads),
    rows: [...new Set(tags.filter((tag) => tag.paper === paper).map((tag) => tag.row))],
    href: () => link("classes", paperParam.to(paper)),
  }));
}

/** The clusters of all stored clusterings, by their given and plain names. */
async function clusters(manifest: Manifest, heads: Heads, classes: readonly HeadClass[]): Promise<SearchPlace[]> {
  const [shares, ...labels] = await Promise.all([
    loadMotifShares(manifest),
    ...manifest.clusterings.map((clustering) => loadClusters(manifest, clustering)),
  ]);
  const names = Array.from({ length: manifest.n_heads }, (_, row) => headName(manifest, row));
  const known = keptNames(stored(namesKey(manifest)).value);
  return manifest.clusterings.flatMap((clustering, place) => {
    const cut = { clustering, linkage: null, labels: labels[place] as Int32Array, stored: true };
    const view = makeView({ manifest, cut, heads, classes, names }, known);
    return view.parts.filter(({ cluster }) => cluster >= 0 && cluster < CLUSTERS).map((part) => ({
      title: [view.title(part.cluster), plainName(part, motifsOf(part.rows, manifest.motifs, shares))].filter(Boolean).join(": "),
      note: `cluster of ${clustering.method} (${clustering.metric})`,
      value: headsHere(part.rows.length),
      rows: part.rows,
      href: () =>
        link("clusters", clusteringParam.to(place === 0 ? "" : clusteringId(clustering)), picked.to([{ kind: "cluster", number: part.cluster }])),
    }));
  });
}

function headsHere(n: number): string {
  return n === 1 ? "1 head" : `${n} heads`;
}
