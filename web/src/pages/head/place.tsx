import { useCallback } from "preact/hooks";
import type { Manifest, Projection } from "../../contract/generated";
import { composed } from "../../data/composed";
import { labelText, loadLabels } from "../../data/explanations";
import { loadDistances, metricOf, ranking } from "../../data/distances";
import { headName } from "../../data/heads";
import { loadProjection, mostTrustworthy, projectionId, type Placed } from "../../data/projections";
import { head, metric } from "../../state/params";
import { text } from "../../state/codecs";
import { dark } from "../../state/theme";
import { useResource } from "../../state/resource";
import { go, here, link, param } from "../../state/url";
import { Select } from "../../views/controls/view";
import { HeadMap } from "../../views/head-map/view";
import { NONE } from "../../views/palette/api";
import { onGround } from "../../views/palette/contrast";
import { Empty, Loaded } from "../../views/states/view";

/** Projection; empty is the 3-D one with the highest trustworthiness. */
export const projection = param("projection", text, "");

/** The head and its ten nearest heads in a projection. */
export function Place({ manifest, row }: { manifest: Manifest; row: number }) {
  const options = manifest.projections.filter((projection) => projection.scope === "all");
  const chosen =
    options.find((option) => projectionId(option) === projection.value) ??
    mostTrustworthy(options.filter((option) => option.n_components === 3)) ??
    mostTrustworthy(options);
  return (
    <section>
      <h2>Position among all heads</h2>
      {chosen ? (
        <>
          <Select
            label="Projection"
            value={projectionId(chosen)}
            options={options.map((option) => ({ value: projectionId(option), title: titleOf(option) }))}
            onChange={(id) => projection.set(id)}
          />
          <Map manifest={manifest} row={row} chosen={chosen} />
          <a href={link("heads-3d", head.to(headName(manifest, row)), projection.to(projectionId(chosen)))}>Open large</a>
        </>
      ) : (
        <Empty title="No projections">{manifest.missing["projections"]}</Empty>
      )}
    </section>
  );
}

function titleOf(projection: Projection): string {
  const near = projection.n_neighbors > 0 ? `, ${projection.n_neighbors} neighbours` : "";
  return `${projection.method}${near}, ${projection.n_components}-D, ${projection.metric}`;
}

function Map({ manifest, row, chosen }: { manifest: Manifest; row: number; chosen: Projection }) {
  const current = metricOf(manifest, metric.value);
  const loaded = useResource(async () => {
    const [placed, labels, distances] = await Promise.all([
      loadProjection(manifest, chosen),
      loadLabels(manifest),
      current ? loadDistances(manifest, current, row) : null,
    ]);
    return { placed, labels, near: distances ? ranking(distances, [row]).slice(0, 10) : [] };
  }, [chosen, row, current]);
  const byHead = loaded.value?.labels.byHead;
  const describe = (point: number) => {
    const label = loaded.value ? labelText(manifest, loaded.value.labels, point) : "";
    return label === "" ? headName(manifest, point) : composed`${headName(manifest, point)}, ${label}`;
  };
  const isDark = dark.value;
  const colour = useCallback(
    (point: number) => {
      const first = byHead?.get(point)?.[0];
      return first ? onGround(first.class.colour, isDark) : NONE;
    },
    [byHead, isDark],
  );
  return (
    <Loaded resource={loaded} what="the projection" height={260}>
      {({ placed, near }) =>
        placed.z ? (
          <InSpace
            placed={placed}
            marked={[row, ...near]}
            colour={colour}
            describe={describe}
            onPick={(point) => go(here(head.to(headName(manifest, point))))}
          />
        ) : (
        <HeadMap
          x={placed.x}
          y={placed.y}
          colour={colour}
          marked={[row, ...near]}
          describe={describe}
          onPick={(point) => go(here(head.to(headName(manifest, point))))}
          label={composed`${headName(manifest, row)} and its ten nearest heads among all heads`}
          width={286}
          height={240}
        />
        )
      }
    </Loaded>
  );
}

interface InSpaceProps {
  placed: Placed;
  marked: readonly number[];
  colour: (point: number) => string;
  describe: (point: number) => string;
  onPick: (point: number) => void;
}

/** A 3-D projection. Its code is loaded when it is shown. */
function InSpace(props: InSpaceProps) {
  const module = useResource(() => import("./place-3d"), []);
  return (
    <Loaded resource={module} what="the view" height={260}>
      {({ Place3d }) => <Place3d {...props} />}
    </Loaded>
  );
}
