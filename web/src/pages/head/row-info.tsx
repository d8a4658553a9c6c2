import type { TaggedClass } from "../../data/classes";
import { ClassTag } from "../../views/class-tag/view";
import { HeadLink } from "../../views/head-link/view";
import { numberColour } from "../../views/palette/palette";
import type { RowHead } from "../../views/pattern-rows/api";
import { like } from "./params";
import { TERMS } from "../../data/terms";
import { Term } from "../../views/help/view";

/** A row of patterns: the head, and the numbers shown in front of it. */
export interface InfoRow extends RowHead {
  /** What is known of the head, as `induction 0.92`; empty if nothing is. */
  label: string;
  distance: number;
  /** 1 = nearest; 0 for the viewed heads. */
  rank: number;
  /** Distance divided by the largest distance, 0 to 1. */
  share: number;
  /** Percentile of the distance among pairs of heads of the same two layers, 0 to 100. */
  percentile: number | null;
  /** Percentile among pairs of heads that are as far apart in depth. */
  depth: number | null;
  /** Probability that the k-th nearest head, k the place in the list, is at least as near by chance. */
  chance: number | null;
}

interface Props {
  row: InfoRow;
  /** Number of heads that have a rank. */
  total: number;
  byHead: ReadonlyMap<number, TaggedClass[]>;
  first: boolean;
}

/** Name, distance, rank, percentile, chance and classes of a head, and a checkbox "find heads like this too". */
export function RowInfo({ row, total, byHead, first }: Props) {
  const tagged = byHead.get(row.row) ?? [];
  return (
    <div class="row-info">
      <HeadLink head={row.head} />
      {row.label === "" ? null : <div class="row-label">{row.label}</div>}
      {first ? null : (
        <>
          <div class="row-distance">
            <span
              class="row-swatch"
              style={{ background: numberColour(1 - row.share) }}
              aria-hidden="true"
            />
            <strong>{row.distance.toPrecision(3)}</strong>
            <span class="muted">
              <Term help={TERMS.rank}>rank</Term> {row.rank} of {total}
            </span>
          </div>
          {row.percentile === null ? null : (
            <div class="muted">
              <Term help={explain(row)}>percentile among pairs of these two layers</Term>: {percent(row.percentile)}
            </div>
          )}
          {row.chance === null ? null : (
            <div class="muted">
              <Term help={TERMS.chance}>p by chance</Term>: {row.chance < 0.001 ? "< 0.001" : row.chance.toFixed(3)}
            </div>
          )}
          <label class="row-like" data-export="no">
            <input
              type="checkbox"
              checked={like.value.includes(row.head)}
              onChange={() => toggle(row.head)}
            />
            <span class="muted">find heads like this too</span>
          </label>
        </>
      )}
      <div class="row-classes">
        {tagged.slice(0, 3).map(({ class: known, tags }) => (
          <ClassTag key={known.name} class={known} tags={tags} />
        ))}
        {tagged.length > 3 ? <span class="muted">and {tagged.length - 3} more</span> : null}
      </div>
    </div>
  );
}

function toggle(name: string): void {
  const now = like.value;
  like.set(now.includes(name) ? now.filter((item) => item !== name) : [...now, name]);
}

function percent(value: number): string {
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} %`;
}

function explain({ percentile, depth }: InfoRow): string {
  const lines = [
    `${percent(percentile ?? 0)} of the other pairs of heads from the same two layers have a smaller distance. Around 50 % means that this pair is no nearer than pairs of these layers usually are.`,
  ];
  if (depth !== null) lines.push(`Of all pairs of heads of these models that are as far apart in depth, ${percent(depth)} have a smaller distance.`);
  return lines.join("\n");
}

