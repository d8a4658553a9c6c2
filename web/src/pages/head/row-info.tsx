import type { TaggedClass } from "../../data/classes";
import { ClassTag } from "../../views/class-tag/view";
import { HeadLink } from "../../views/head-link/view";
import { numberColour } from "../../views/palette/palette";
import type { RowHead } from "../../views/pattern-rows/api";
import { like } from "./params";

/** A head of the rows with what is said in front of its patterns. */
export interface InfoRow extends RowHead {
  distance: number;
  /** 1 = nearest; 0 for the viewed heads. */
  rank: number;
  /** Distance by the largest distance of any head, 0 to 1. */
  share: number;
  /** Among other pairs of heads of the same two layers, 0 to 100. */
  percentile: number | null;
  /** Among pairs as far apart in depth. */
  depth: number | null;
}

interface Props {
  one: InfoRow;
  /** Number of heads that have a rank. */
  total: number;
  byHead: ReadonlyMap<number, TaggedClass[]>;
  first: boolean;
}

/** Name, distance with colour, rank, percentile, classes, and a switch to look for such heads. */
export function RowInfo({ one, total, byHead, first }: Props) {
  const tagged = byHead.get(one.row) ?? [];
  return (
    <div class="row-info">
      <HeadLink head={one.head} />
      {first ? null : (
        <>
          <div class="row-distance">
            <span
              class="row-swatch"
              style={{ background: numberColour(1 - one.share) }}
              aria-hidden="true"
            />
            <strong>{one.distance.toPrecision(3)}</strong>
            <span class="muted">
              rank {one.rank} of {total}
            </span>
          </div>
          {one.percentile === null ? null : (
            <div class="muted" title={explain(one)}>
              null percentile {percent(one.percentile)}
            </div>
          )}
          <label class="row-like" data-export="no">
            <input
              type="checkbox"
              checked={like.value.includes(one.head)}
              onChange={() => toggle(one.head)}
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
    `${percent(percentile ?? 0)} of the other pairs of heads of the same two layers are nearer; 50 % is chance.`,
  ];
  if (depth !== null) lines.push(`Of pairs of the same models as far apart in depth, ${percent(depth)} are nearer.`);
  return lines.join("\n");
}

