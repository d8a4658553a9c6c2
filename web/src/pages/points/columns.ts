// Columns that points can be placed and coloured by, in groups.

import { NO_CODE } from "../../contract/columns";
import type { Manifest, Prompt } from "../../contract/generated";
import { clusterName } from "../../data/clusters";
import { rowsEnd, type Heads } from "../../data/heads";
import { loadMotifShares, loadVerdicts } from "../../data/explanations";
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

/** Groups of columns, in the order of the lists. */
const GROUPS = ["Classes", "Clusters", "Motifs", "Model and layer", "Scores", "Prompt", "Components", "Features"];
/** Least probability of a verdict that colours a head. */
const SURE = 0.8;

function inGroups(columns: PointColumn[]): PointColumn[] {
  return GROUPS.flatMap((group) => columns.filter((column) => column.group === group));
}

/** Return the columns of heads: one value per head. */
export function headColumns(manifest: Manifest, heads: Heads): PointColumn[] {
  return inGroups([
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
  ]);
}

/** Return the columns of patterns: the value of head h on prompt p is in row p * H + h. */
export function patternColumns(manifest: Manifest, heads: Heads, prompts: readonly Prompt[]): PointColumn[] {
  const { n_prompts: nPrompts } = manifest.points;
  const repeat = (colouring: Colouring): Colouring =>
    colouring.kind === "categories"
      ? { ...colouring, codes: repeated(colouring.codes, nPrompts) }
      : { ...colouring, values: repeated(colouring.values, nPrompts) };
  return inGroups([
    ...ofHeads(manifest, heads, repeat),
    ...ofPrompts(manifest, prompts),
    ...components(manifest, "component", (k) => loadComponent(manifest, k)),
    ...manifest.points.features.map((feature) =>
      numeric(`feature ${feature.name}`, feature.name, "Features", () => loadPointFeature(manifest, feature.name)),
    ),
  ]);
}

function ofHeads(manifest: Manifest, heads: Heads, turn: (colouring: Colouring) => Colouring): PointColumn[] {
  const column = (id: string, group: string, colouring: { title: string; numeric: boolean; make: () => Colouring | Promise<Colouring> }): PointColumn => ({
    id,
    title: colouring.title,
    group,
    unit: id,
    numeric: colouring.numeric,
    load: async () => turn(await colouring.make()),
  });
  const category = (id: string, title: string, group: string, make: () => Categories | Promise<Categories>) =>
    column(id, group, { title, numeric: false, make });
  const amount = (id: string, title: string, group: string, make: () => Amounts | Promise<Amounts>) =>
    column(id, group, { title, numeric: true, make });
  return [
    ...ofClasses(manifest, heads, category),
    ...ofClusterings(manifest, heads, category),
    ...(manifest.motif_shares ? manifest.motifs : []).map((motif, place) =>
      amount(`motif ${motif.name}`, `share of ${motif.name}`, "Motifs", async () => {
        const shares = await loadMotifShares(manifest);
        return spanned(`share of ${motif.name}`, Float32Array.from(shares[place] ?? []));
      }),
    ),
    ...ofModels(manifest, heads, category),
    amount("layer", "layer", "Model and layer", () => spanned("layer", Float32Array.from(heads.layer))),
    amount("depth", "depth", "Model and layer", () => spanned("depth", Float32Array.from(heads.depth))),
    ...manifest.scores.flatMap(({ name }) => {
      const stored = heads.column(name);
      if (!stored) return [];
      return [amount(`score ${name}`, `${name} score`, "Scores", () => amounts(`${name} score`, Float32Array.from(stored.values)))];
    }),
  ];
}

type MakeCategory = (id: string, title: string, group: string, make: () => Categories | Promise<Categories>) => PointColumn;

function ofClasses(manifest: Manifest, heads: Heads, category: MakeCategory): PointColumn[] {
  const colours = (labels: readonly string[]) => labels.map((label) => manifest.groups[label] ?? "#777777");
  const columns: PointColumn[] = [];
  const groups = heads.column("class_group");
  const labels = groups?.column.labels ?? [];
  if (groups && labels.length > 0) {
    const title = "group of the first class";
    columns.push(category("class", title, "Classes", () => ({ ...categories(title, groups.values, labels, "no known class"), colours: colours(labels) })));
  }
  if (manifest.verdicts) {
    const title = `probable class (p ≥ ${SURE})`;
    columns.push(
      category("verdict", title, "Classes", async () => {
        const verdicts = await loadVerdicts(manifest);
        const named = Array.from({ length: manifest.n_heads }, (_, row) =>
          (verdicts?.probability[row] ?? 0) >= SURE ? (verdicts?.verdict(row) ?? "") : "",
        );
        const known = Object.keys(manifest.groups).filter((name) => named.includes(name));
        const codes = Uint16Array.from(named, (name) => (known.includes(name) ? known.indexOf(name) : NO_CODE.uint16));
        return { ...categories(title, codes, known, "no probable class"), colours: colours(known) };
      }),
    );
  }
  return columns;
}

function ofClusterings(manifest: Manifest, heads: Heads, category: MakeCategory): PointColumn[] {
  return manifest.clusterings.flatMap((clustering) => {
    const { method } = clustering;
    const stored = heads.column(`cluster ${method}`);
    if (!stored) return [];
    let n = 0;
    for (const code of stored.values) if (code !== NO_CODE.uint16) n = Math.max(n, code + 1);
    const labels = Array.from({ length: n }, (_, cluster) => clusterName(clustering, cluster));
    const title = `clusters, ${method}`;
    return [category(`cluster ${method}`, title, "Clusters", () => categories(title, stored.values, labels, "unclustered"))];
  });
}

function ofModels(manifest: Manifest, heads: Heads, category: MakeCategory): PointColumn[] {
  const names = manifest.models.map((model) => model.name);
  const families = [...new Set(manifest.models.map((model) => model.family))];
  const familyOf = manifest.models.map((model) => families.indexOf(model.family));
  const columns = [category("model", "model", "Model and layer", () => categories("model", heads.model, names, ""))];
  if (families.length > 1 && families.length < names.length) {
    const codes = () => Uint16Array.from(heads.model, (item) => familyOf[item] ?? 0xffff);
    columns.push(category("family", "model family", "Model and layer", () => categories("model family", codes(), families, "")));
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

/** Return the column to colour by: that of the link, else the class, else the model, else the first. */
export function colourColumn(columns: readonly PointColumn[], asked: string): string {
  const known = (id: string) => columns.some((column) => column.id === id);
  return [asked, "class", "model"].find(known) ?? columns[0]?.id ?? "";
}

/** Return the next or previous column, in a circle. */
export function cycled(columns: readonly PointColumn[], id: string, by: number): string {
  const at = columns.findIndex((column) => column.id === id);
  const next = columns[(((at + by) % columns.length) + columns.length) % columns.length];
  return next?.id ?? id;
}
