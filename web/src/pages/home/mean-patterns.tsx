import type { Manifest } from "../../contract/generated";
import { loadPictures, meanPicture } from "../../data/pictures";
import { useResource } from "../../state/resource";
import { PatternCanvas } from "../../views/pattern-canvas/view";

/** Side of a picture, and the space between two, in pixels. */
const SIDE = 44;
const GAP = 6;
/** Most pictures, of the largest groups. */
const MOST = 8;

interface Props {
  manifest: Manifest;
  /** Group of every head; null without one. */
  groups: readonly (string | null)[];
  /** Positions of the heads in pixels, x and y in turn. */
  placed: Float32Array;
  width: number;
  height: number;
}

/** The mean pattern of each labelled group whose heads are in the enlarged map, at their middle. */
export function MeanPatterns({ manifest, groups, placed, width, height }: Props) {
  const rows = visibleGroups(groups, placed, width, height);
  const all = [...new Set(rows.flatMap((group) => group.rows))].sort((a, b) => a - b);
  const loaded = useResource(() => loadPictures(manifest, all), [manifest, all.join()], { keep: true });
  const pictures = loaded.value;
  if (!pictures) return null;
  return (
    <>
      {withoutOverlap(rows, width, height).map(({ group, rows: members, x, y }) => (
        <figure key={group} class="bench-mean" style={{ left: `${x}px`, top: `${y}px` }}>
          <PatternCanvas pattern={meanPicture(pictures, members)} size={SIDE} label={`mean attention of ${group} heads`} />
          <figcaption>{group}</figcaption>
        </figure>
      ))}
    </>
  );
}

/** A group with its heads in the picture, and the middle of them. */
export interface VisibleGroup {
  group: string;
  rows: number[];
  x: number;
  y: number;
}

/** Return the groups with heads in the picture, the largest first. */
export function visibleGroups(groups: readonly (string | null)[], placed: Float32Array, width: number, height: number): VisibleGroup[] {
  const members = new Map<string, number[]>();
  groups.forEach((group, row) => {
    const [x, y] = [placed[2 * row] as number, placed[2 * row + 1] as number];
    if (group === null || !(x >= 0 && x <= width && y >= 0 && y <= height)) return;
    members.set(group, [...(members.get(group) ?? []), row]);
  });
  const median = (rows: number[], k: number) =>
    Float32Array.from(rows, (row) => placed[2 * row + k] as number).sort()[rows.length >> 1] as number;
  return [...members]
    .map(([group, rows]) => ({ group, rows, x: median(rows, 0), y: median(rows, 1) }))
    .sort((a, b) => b.rows.length - a.rows.length)
    .slice(0, MOST);
}

/** Return where pictures fit, by their upper left corner; one that would cover another is left out. */
export function withoutOverlap(groups: readonly VisibleGroup[], width: number, height: number): VisibleGroup[] {
  const tall = SIDE + 16;
  const shown: VisibleGroup[] = [];
  for (const group of groups) {
    const x = Math.min(width - SIDE - GAP, Math.max(GAP, group.x + GAP));
    const y = Math.min(height - tall, Math.max(GAP, group.y + GAP));
    if (shown.every((other) => Math.abs(other.x - x) >= SIDE + 2 * GAP || Math.abs(other.y - y) >= tall)) shown.push({ ...group, x, y });
  }
  return shown;
}
