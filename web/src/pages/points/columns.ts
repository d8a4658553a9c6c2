// Columns that points can be placed and coloured by.

import { NO_CODE } from "../../contract/columns";
import type { Manifest, Prompt } from "../../contract/generated";
import { clusterName } from "../../data/clusters";
import { rowsEnd, type Heads } from "../../data/heads";
import { loadFeatures, loadHeadMeans } from "../../data/features";
import { loadComponent, loadPointFeature } from "../../data/points";
import { amounts, palette, type Amounts, type Categories, type Colouring } from "../../views/points-3d/colours";

/** A column. Its numbers are fetched when it becomes an axis or a colour. */
export interface PointColumn {
  /** Name in links. */
  id: string;
  title: string;
  group: string;
  /** Axes of one unit keep their proportions. */
  unit: string;
  /** Whether it holds numbers, so that it can be an axis. */
  numeric: boolean;
  load: () => Promise<Colouring>;
}

/** Return the columns of heads: one value per head. */
export function headColumns(manifest: Manifest, heads: Heads): PointColumn[] {
  return [
    ...ofHeads(manifest, heads, (colouring) => colouring),
    ...components(manifest, "mean component", async (k) => {
      const all = await loadComponent(manifest, k);
      return meanOverPrompts(all, manifest.n_heads);
    }),
    ...manifest.points.features.map((feature) =>
      numeric(`feature ${feature.name}`, `mean ${feature.name}`, "Features", async () => {
        const [{ features }, means] = await Promise.all([loadFeatures(manifest), loadHeadMeans(manifest)]);
        const place = features.findIndex((item) => item.name === feature.name);
        return Float32Array.from({ length: manifest.n_heads }, (_, row) => means[row * features.length + place] ?? Number.NaN);
      }),
    ),
  ];
}

/** Return the columns of patterns: the value of head h on prompt p is in row p * H + h. */
export function patternColumns(manifest: Manifest, heads: Heads, prompts: readonly Prompt[]): PointColumn[] {
  const { n_prompts: nPrompts } = manifest.points;
  const repeat = (colouring: Colouring): Colouring =>
    colouring.kind === "categories"
      ? { ...colouring, codes: repeated(colouring.codes, nPrompts) }
      : { ...colouring, values: repeated(colouring.values, nPrompts) };
  return [
    ...ofHeads(manifest, heads, repeat),
    ...ofPrompts(manifest, prompts),
    ...components(manifest, "component", (k) => loadComponent(manifest, k)),
    ...manifest.points.features.map((feature) =>
      numeric(`feature ${feature.name}`, feature.name, "Features", () => loadPointFeature(manifest, feature.name)),
    ),
  ];
}

function ofHeads(manifest: Manifest, heads: Heads, turn: (colouring: Colouring) => Colouring): PointColumn[] {
  const category = (id: string, title: string, group: string, make: () => Categories): PointColumn => ({
    id,
    title,
    group,
    unit: id,
    numeric: false,
    load: async () => turn(make()),
  });
  const amount = (id: string, title: string, group: string, make: () => Amounts): PointColumn => ({
    id,
    title,
    group,
    unit: id,
    numeric: true,
    load: async () => turn(make()),
  });
  const names = manifest.models.map((model) => model.name);
  const families = [...new Set(manifest.models.map((model) => model.family))];
  const familyOf = manifest.models.map((model) => families.indexOf(model.family));
  const columns = [
    category("model", "model", "Head", () => categories("model", heads.model, names, "")),
    ...(families.length > 1 && families.length < names.length
      ? [category("family", "model family", "Head", () =>
          categories("model family", Uint16Array.from(heads.model, (item) => familyOf[item] ?? 0xffff), families, ""))]
      : []),
    amount("layer", "layer", "Head", () => spanned("layer", Float32Array.from(heads.layer))),
    amount("depth", "depth", "Head", () => spanned("depth", Float32Array.from(heads.depth))),
  ];
  const groups = heads.column("class_group");
  if (groups?.column.labels && groups.column.labels.length > 0) {
    const labels = groups.column.labels;
    columns.push(
      category("class", "group of the first class", "Head", () => ({
        ...categories("group of the first class", groups.values, labels, "no known class"),
        colours: labels.map((label) => manifest.groups[label] ?? "#777777"),
      })),
    );
  }
  for (const clustering of manifest.clusterings) {
    const { method } = clustering;
    const stored = heads.column(`cluster ${method}`);
    if (!stored) continue;
    let n = 0;
    for (const code of stored.values) if (code !== NO_CODE.uint16) n = Math.max(n, code + 1);
    const labels = Array.from({ length: n }, (_, cluster) => clusterName(clustering, cluster));
    columns.push(
      category(`cluster ${method}`, `clusters, ${method}`, "Clusters", () =>
        categories(`clusters, ${method}`, stored.values, labels, "unclustered"),
      ),
    );
  }
  for (const score of manifest.scores) {
    const stored = heads.column(score.name);
    if (!stored) continue;
    columns.push(
      amount(`score ${score.name}`, `${score.name} score`, "Scores", () =>
        amounts(`${score.name} score`, Float32Array.from(stored.values)),
      ),
    );
  }
  return columns;
}

function ofPrompts(manifest: Manifest, prompts: readonly Prompt[]): PointColumn[] {
  const nHeads = manifest.n_heads;
  const sources = [...new Set(prompts.map((prompt) => prompt.source))];
  const n = manifest.points.n_prompts * nHeads;
  return [
    {
      id: "source",
      title: "source of the prompt",
      group: "Prompt",
      unit: "source",
      numeric: false,
      load: async () => {
        const codes = new Uint16Array(n);
        for (let i = 0; i < n; i++) codes[i] = sources.indexOf(prompts[Math.floor(i / nHeads)]?.source ?? "");
        return categories("source of the prompt", codes, sources, "");
      },
    },
    numeric("tokens", "tokens of the prompt", "Prompt", async () => {
      const values = new Float32Array(n);
      for (const [code, model] of manifest.models.entries()) {
        for (let row = model.first_row; row < rowsEnd(model); row++) {
          for (let p = 0; p < manifest.points.n_prompts; p++) {
            values[p * nHeads + row] = prompts[p]?.n_tokens[code] ?? Number.NaN;
          }
        }
      }
      return values;
    }),
  ];
}

function components(manifest: Manifest, word: string, load: (k: number) => Promise<Float32Array>): PointColumn[] {
  return manifest.points.components.map((_, k) => {
    const share = manifest.points.variance[k];
    const title = `${word} ${k + 1}${share === undefined ? "" : ` (${(100 * share).toFixed(1)} %)`}`;
    return { ...numeric(`component ${k + 1}`, title, "Components", () => load(k)), unit: "component" };
  });
}

function numeric(id: string, title: string, group: string, load: () => Promise<Float32Array>): PointColumn {
  return { id, title, group, unit: id, numeric: true, load: async () => amounts(title, await load()) };
}

function categories(title: string, codes: ArrayLike<number>, labels: readonly string[], none: string): Categories {
  return { kind: "categories", title, codes, labels, colours: palette(labels.length), none: none || "none" };
}

/** Amounts whose colours span the whole range from 0. */
function spanned(title: string, values: Float32Array): Amounts {
  let high = 0;
  for (const value of values) high = Math.max(high, value);
  return { kind: "amounts", title, values, low: 0, high };
}

function repeated<T extends ArrayLike<number>>(values: T, times: number): Float32Array {
  const all = new Float32Array(values.length * times);
  for (let i = 0; i < times; i++) all.set(values, i * values.length);
  return all;
}

/** Return the mean over the prompts for every head, of finite values; NaN if there are none. */
export function meanOverPrompts(all: Float32Array, nHeads: number): Float32Array {
  const sums = new Float64Array(nHeads);
  const counts = new Uint32Array(nHeads);
  for (let i = 0; i < all.length; i++) {
    const value = all[i] as number;
    if (!Number.isFinite(value)) continue;
    sums[i % nHeads] = (sums[i % nHeads] as number) + value;
    counts[i % nHeads] = (counts[i % nHeads] as number) + 1;
  }
  return Float32Array.from(sums, (sum, head) => sum / (counts[head] as number));
}

/** Return the column to colour by: that of the link, else the class, else the first. */
export function colourColumn(columns: readonly PointColumn[], asked: string, byClass: boolean): string {
  const known = (id: string) => columns.some((column) => column.id === id);
  if (known(asked)) return asked;
  return byClass && known("class") ? "class" : (columns[0]?.id ?? "");
}

/** Return the next or previous column, in a circle. */
export function cycled(columns: readonly PointColumn[], id: string, by: number): string {
  const at = columns.findIndex((column) => column.id === id);
  const next = columns[(((at + by) % columns.length) + columns.length) % columns.length];
  return next?.id ?? id;
}
