// The composition of clusters: models, depth, classes.

/** A cluster and its heads. */
export interface ClusterParts {
  /** -1 is the group of unclustered heads. */
  cluster: number;
  rows: number[];
  /** Heads per model, in the order of the manifest. */
  models: number[];
  /** Heads in the first, middle and last third of their models. */
  thirds: [number, number, number];
  meanDepth: number;
  /** Classes with their heads in the cluster and their lift, most heads first. */
  classes: { name: string; heads: number; lift: number }[];
}

interface Heads {
  model: ArrayLike<number>;
  depth: ArrayLike<number>;
}

/**
 * Count the heads of every cluster. Unclustered heads come last.
 *
 * @param classes rows of the heads in each class
 */
export function compositions(
  labels: Int32Array,
  heads: Heads,
  nModels: number,
  classes: readonly { name: string; rows: readonly number[] }[],
): ClusterParts[] {
  const byLabel = new Map<number, number[]>();
  labels.forEach((label, row) => {
    const rows = byLabel.get(label);
    if (rows) rows.push(row);
    else byLabel.set(label, [row]);
  });
  const inClasses = classes.map(({ name, rows }) => ({ name, size: rows.length, counts: counted(rows, labels) }));
  const order = [...byLabel.keys()].sort((a, b) => Number(a < 0) - Number(b < 0) || a - b);
  return order.map((cluster) => {
    const rows = byLabel.get(cluster) ?? [];
    const models = new Array<number>(nModels).fill(0);
    const thirds: [number, number, number] = [0, 0, 0];
    let depths = 0;
    for (const row of rows) {
      const model = heads.model[row] as number;
      models[model] = (models[model] ?? 0) + 1;
      const depth = heads.depth[row] as number;
      thirds[third(depth)] += 1;
      depths += depth;
    }
    return {
      cluster,
      rows,
      models,
      thirds,
      meanDepth: depths / rows.length,
      classes: classesOf(cluster, rows.length, labels.length, inClasses),
    };
  });
}

/** Return the third of the model, 0 to 2, of a depth from 0 to 1. */
export function third(depth: number): 0 | 1 | 2 {
  return Math.min(2, Math.floor(3 * depth)) as 0 | 1 | 2;
}

/** Heads per cluster. */
function counted(rows: readonly number[], labels: Int32Array): Map<number, number> {
  const counts = new Map<number, number>();
  for (const row of rows) {
    const label = labels[row] as number;
    counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return counts;
}

function classesOf(
  cluster: number,
  size: number,
  nHeads: number,
  classes: readonly { name: string; size: number; counts: ReadonlyMap<number, number> }[],
): ClusterParts["classes"] {
  const present = classes.flatMap(({ name, size: all, counts }) => {
    const shared = counts.get(cluster) ?? 0;
    // A lift of 1 is what a random draw of heads would give.
    return shared === 0 ? [] : [{ name, heads: shared, lift: (shared * nHeads) / (size * all) }];
  });
  return present.sort((a, b) => b.heads - a.heads || (a.name < b.name ? -1 : 1));
}
