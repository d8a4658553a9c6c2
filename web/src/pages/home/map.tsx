import type { Signal } from "@preact/signals";
import { useCallback, useMemo } from "preact/hooks";
import type { Manifest, Projection } from "../../contract/generated";
import { composed } from "../../data/composed";
import { labelText, type Labels } from "../../data/explanations";
import { headName } from "../../data/heads";
import type { Placed } from "../../data/projections";
import { head } from "../../state/params";
import { dark } from "../../state/theme";
import { go, here } from "../../state/url";
import { useWidth } from "../../state/width";
import { HeadMap } from "../../views/head-map/view";
import { Legend } from "../../views/legend/view";
import { NONE } from "../../views/palette/api";
import { onGround } from "../../views/palette/contrast";
import { MeanPatterns } from "./mean-patterns";
import { rectangle } from "./params";
import { groupOf } from "./telling";

interface Props {
  manifest: Manifest;
  labels: Labels;
  placed: Placed;
  row: number;
  /** Heads in the rows, which are ringed. */
  shown: readonly number[];
  /** The head under the pointer, on the map or in the rows. */
  pointed: Signal<number | null>;
}

/** Height of the map in pixels. */
const HEIGHT = 270;

/** All heads. A click chooses one; a dragged rectangle fills the rows with its heads. */
export function Map({ manifest, labels, placed, row, shown, pointed }: Props) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const isDark = dark.value;
  const groups = useMemo(
    () => Array.from({ length: manifest.n_heads }, (_, head) => groupOf(manifest, labels, head)),
    [manifest, labels],
  );
  const colourOf = (group: string | null) => (group === null ? NONE : onGround(manifest.groups[group] ?? NONE, isDark));
  const colour = useCallback((head: number) => colourOf(groups[head] ?? null), [groups, isDark]);
  const faint = useCallback((head: number) => groups[head] === null, [groups]);
  const describe = (head: number) => {
    const label = labelText(manifest, labels, head);
    return label === "" ? headName(manifest, head) : composed`${headName(manifest, head)}, ${label}`;
  };
  return (
    <div ref={ref} class="bench-map">
      {width === 0 ? null : (
        <HeadMap
          x={placed.x}
          y={placed.y}
          colour={colour}
          faint={faint}
          marked={[row, ...shown.filter((item) => item !== row)]}
          pointed={pointed.value}
          onPoint={(head) => (pointed.value = head)}
          rectangle={rectangle.value}
          onRectangle={rectangle.set}
          enlarged={(at) => <MeanPatterns manifest={manifest} groups={groups} placed={at} width={width} height={HEIGHT} />}
          describe={describe}
          onPick={(head_) => go(here(head.to(headName(manifest, head_))))}
          label={composed`All heads by ${placed.projection.metric}; ${headName(manifest, row)} and the heads in the rows are ringed`}
          width={width}
          height={HEIGHT}
        />
      )}
      <Legend label="Colours of the map: classes" entries={legend(groups, colourOf)} />
    </div>
  );
}

/** Return what the map is made by, in words. */
export function mapWords({ metric, method }: Projection, current: string): string {
  const by = `Near heads have a small distance by ${metric} (${method}).`;
  return metric === current || current === "" ? by : `${by} This atlas has no map by ${current}.`;
}

function legend(groups: readonly (string | null)[], colourOf: (group: string | null) => string) {
  const counts = new globalThis.Map<string, number>();
  for (const group of groups) if (group !== null) counts.set(group, (counts.get(group) ?? 0) + 1);
  const rest = groups.filter((group) => group === null).length;
  const entries = [...counts].sort((a, b) => b[1] - a[1]).map(([key, count]) => ({ key, title: key, colour: colourOf(key), count }));
  return rest === 0 ? entries : [...entries, { key: "", title: "no class", colour: NONE, count: rest }];
}
