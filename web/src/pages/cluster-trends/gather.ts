// The trends that the link describes.

import { headCount, rowsEnd } from "../../data/heads";
import type { View } from "../clusters/model";
import { lineStyle, type Across, type LineStyle } from "./panel";
import { rankShares, sizeTrends, trends, type Group, type Point, type Trend } from "./trends";

/** Settings of the panels. */
export interface Asked {
  over: "depth" | "feature" | "size";
  /** The feature that heads are ranked by; null for other trends. */
  ranked: Ranked | null;
  by: "model" | "family";
  bins: number;
  nClusters: number;
  /** Names of models; empty is all. */
  models: readonly string[];
}

/** A feature, and its mean over the prompts for every head. */
export interface Ranked {
  name: string;
  means: Float32Array;
}

/** The content of the panels and the table. */
export interface Gathered {
  trends: Trend[];
  styles: LineStyle[];
  across: Across;
  rows: { cluster: number; group: string; point: Point }[];
}

/** Compute the trends of the largest clusters. */
export function gather(view: View, asked: Asked): Gathered {
  const { manifest, cut, heads, parts } = view;
  const models = manifest.models.filter((model) => asked.models.length === 0 || asked.models.includes(model.name));
  const nFound = parts.filter((part) => part.cluster >= 0).length;
  const n = Math.min(asked.nClusters, nFound);
  const families = [...new Set(models.map((model) => model.family))];
  const names = asked.over === "size" || asked.by === "family" ? families : models.map((model) => model.name);
  const across: Across =
    asked.over !== "size"
      ? { kind: "share", title: asked.ranked ? `heads ranked by ${asked.ranked.name}, 1 is the largest` : "depth" }
      : {
          kind: "size",
          low: Math.min(...models.map((model) => model.n_parameters).filter((item) => item > 0)),
          high: Math.max(...models.map((model) => model.n_parameters)),
        };
  const along = asked.ranked ? rankShares(asked.ranked.means) : heads.depth;
  const followed =
    asked.over !== "size"
      ? trends(cut.labels, along, groupsOf(view, models, asked.by, names), n, asked.bins, words)
      : sizeTrends(
          cut.labels,
          models.map((model) => ({
            name: model.name,
            family: model.family,
            parameters: model.n_parameters,
            firstRow: model.first_row,
            nHeads: headCount(model),
          })),
          names,
          n,
        );
  return {
    trends: followed,
    styles: names.map((name, place) => lineStyle(name, place, view.colour)),
    across,
    rows: followed.flatMap(({ cluster, lines }) =>
      lines.flatMap((line, place) => line.map((point) => ({ cluster, group: names[place] as string, point }))),
    ),
  };
}

function groupsOf(
  view: View,
  models: View["manifest"]["models"],
  by: "model" | "family",
  names: readonly string[],
): Group[] {
  return names.map((name) => {
    const heads = new Uint8Array(view.manifest.n_heads);
    for (const model of models) {
      if ((by === "model" ? model.name : model.family) !== name) continue;
      heads.fill(1, model.first_row, rowsEnd(model));
    }
    return { name, heads };
  });
}

function words(low: number, high: number): string {
  return `${low.toFixed(2)} to ${high.toFixed(2)}`;
}
