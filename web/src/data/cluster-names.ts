// Names of clusters, in the format of `clusters/names.json` in an atlas.
//
// A name is stored with the heads of its cluster. The clusters of a cut get names by overlap, as in
// Python's `carry_over`.

import { assign } from "./assignment";
import { parseHead } from "./heads";

/** Version of the file. */
export const NAMES_SCHEMA = 1;
/** Smallest overlap (Jaccard index) at which a cluster gets a name. */
export const THRESHOLD = 0.3;
const LONGEST = 80;

/** A name, and the cluster that it was given to. */
export interface ClusterName {
  name: string;
  note: string;
  /** Models whose heads were clustered, sorted. */
  models: string[];
  /** Heads of the named cluster, sorted. */
  members: string[];
}

/** Names of the clusters of a cut. */
export interface NamedClusters {
  /** Cluster number to its name. */
  names: Map<number, ClusterName>;
  /** Names that no cluster got. */
  unassigned: ClusterName[];
}

/** Return a name without surrounding spaces; null if it is not one line of 1 to 80 characters. */
export function checkedName(text: string): string | null {
  const name = text.trim();
  const printable = !/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(name);
  return name !== "" && [...name].length <= LONGEST && printable ? name : null;
}

/**
 * Read the file.
 *
 * @throws Error with one line, if the text is not a file of `writeNames`.
 */
export function readNames(text: string): ClusterName[] {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    throw new Error("this is not JSON. Choose a names.json that this page saved");
  }
  const { schema, names } = (file ?? {}) as { schema?: unknown; names?: unknown };
  if (schema !== NAMES_SCHEMA || !Array.isArray(names)) {
    throw new Error(`"schema" is not ${NAMES_SCHEMA} or "names" is missing. Choose a names.json that this page saved`);
  }
  return names.map((entry: unknown, place) => readName((entry ?? {}) as Record<string, unknown>, place));
}

function readName(entry: Record<string, unknown>, place: number): ClusterName {
  const texts = (value: unknown): string[] =>
    Array.isArray(value) && value.every((item) => typeof item === "string") ? (value as string[]) : [];
  const name = typeof entry["name"] === "string" ? checkedName(entry["name"]) : null;
  const members = texts(entry["members"]);
  if (name === null) throw new Error(`names[${place}]: "name" must be one line of 1 to ${LONGEST} characters`);
  const parsed = members.map(parseHead);
  if (members.length === 0 || parsed.some((item) => item === null)) {
    throw new Error(`names[${place}]: "members" must be a list of heads, as gpt2-small:L5:H1`);
  }
  const models = [...texts(entry["models"]), ...parsed.flatMap((item) => (item ? [item.model] : []))];
  return {
    name,
    note: typeof entry["note"] === "string" ? entry["note"] : "",
    models: sortedSet(models),
    members: sortedSet(parsed.flatMap((item) => (item ? [`${item.model}:L${item.layer}:H${item.index}`] : []))),
  };
}

/** Return the file as text. */
export function writeNames(names: readonly ClusterName[]): string {
  const entries = names.map(({ name, members, models, note }) => ({ name, members, models, note }));
  return `${JSON.stringify({ schema: NAMES_SCHEMA, names: entries }, null, 2)}\n`;
}

/** Sort by code points, as Python does. */
function sortedSet(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/**
 * Assign names to the clusters of a cut, one to one, so that the sum of their Jaccard indices is
 * largest. Heads of models that were not clustered for a name do not count.
 *
 * @param heads names of the heads, in the order of the labels
 */
export function carryOver(
  names: readonly ClusterName[],
  heads: readonly string[],
  labels: Int32Array,
): NamedClusters {
  const nClusters = labels.reduce((most, label) => Math.max(most, label), -1) + 1;
  const overlaps = names.map((name) =>
    overlapsOf(name, heads, labels, nClusters).map((item) => (item < THRESHOLD ? 0 : item)),
  );
  const columns = assign(overlaps, nClusters);
  const carried: NamedClusters = { names: new Map(), unassigned: [] };
  names.forEach((name, row) => {
    const cluster = columns[row] ?? -1;
    if (cluster >= 0 && (overlaps[row]?.[cluster] ?? 0) > 0) carried.names.set(cluster, name);
    else carried.unassigned.push(name);
  });
  return carried;
}

function overlapsOf(
  name: ClusterName,
  heads: readonly string[],
  labels: Int32Array,
  nClusters: number,
): number[] {
  const members = new Set(name.members);
  const models = new Set(name.models);
  const both = new Array<number>(nClusters).fill(0);
  const sizes = new Array<number>(nClusters).fill(0);
  let named = 0;
  heads.forEach((head, row) => {
    const isNamed = members.has(head);
    if (isNamed) named += 1;
    const label = labels[row] as number;
    if (label < 0 || !models.has(head.slice(0, head.lastIndexOf(":L")))) return;
    sizes[label] = (sizes[label] as number) + 1;
    if (isNamed) both[label] = (both[label] as number) + 1;
  });
  return both.map((shared, label) => {
    const either = named + (sizes[label] as number) - shared;
    return either > 0 ? shared / either : 0;
  });
}

/** Name a cluster. The name that it had, and any equal name, are replaced. */
export function nameCluster(
  names: readonly ClusterName[],
  heads: readonly string[],
  labels: Int32Array,
  cluster: number,
  name: string,
  note: string,
): ClusterName[] {
  const inherited = carryOver(names, heads, labels).names.get(cluster)?.name;
  const kept = names.filter((item) => item.name !== name && item.name !== inherited);
  const members = sortedSet(heads.filter((_, row) => labels[row] === cluster));
  const models = sortedSet(heads.map((head) => head.slice(0, head.lastIndexOf(":L"))));
  return [...kept, { name, note, models, members }];
}
