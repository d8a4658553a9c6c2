// The picture with legend and selection, for both pages of points.

import { useMemo, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { composed } from "../../data/composed";
import { colour } from "../../state/params";
import { dark } from "../../state/theme";
import type { LongColumn } from "../../views/export-menu/long-table";
import { longTableBlob } from "../../views/export-menu/long-table-blob";
import { ExportMenu } from "../../views/export-menu/view";
import type { PointAxis, PointKey, PointLabel } from "../../views/points-3d/api";
import { colourPoints, countCategories, legendPasses, type Colouring } from "../../views/points-3d/colours";
import { Legend, short } from "../../views/points-3d/legend";
import { Points3d } from "../../views/points-3d/view";
import { both } from "./base";
import { cycled, type PointColumn } from "./columns";
import * as params from "./params";
import { pointsOf } from "./picked";
import { useSelection } from "./selection";

interface PlotProps {
  n: number;
  axes: readonly PointAxis[];
  colouring: Colouring;
  /** Id of the column that colours the points. */
  colourId: string;
  columns: readonly PointColumn[];
  flat: boolean;
  onFlat: (flat: boolean) => void;
  /** 1 for each point that passes the filters; null is all. */
  passing: Uint8Array | null;
  labels: readonly PointLabel[];
  label: string;
  fileName: string;
  preview: (point: number, colourText: string) => ComponentChildren;
  onOpen: (point: number) => void;
  onClick?: (point: number) => void;
  /** Columns that name a point in a table. */
  naming: () => readonly LongColumn[];
  /** Links for the selection. */
  actions?: (points: Uint32Array) => ComponentChildren;
}

/** Groups of columns whose categories are named in the picture. */
const NAMED = ["Classes", "Clusters"];

/** Most selected points for which links are shown. */
const ACTIONS = 64;

/** Describe the colour of a point in words. */
export function sayColour(colouring: Colouring, point: number): string {
  if (colouring.kind === "amounts") return composed`${colouring.title} ${short(colouring.values[point] ?? null)}`;
  return composed`${colouring.title}: ${colouring.labels[colouring.codes[point] ?? -1] ?? colouring.none}`;
}

export function Plot(props: PlotProps) {
  const { n, axes, colouring, colourId, columns, passing } = props;
  const frame = useRef<HTMLDivElement>(null);
  const selection = useSelection(n);
  const filter = { hidden: params.hidden.value, low: params.low.value, high: params.high.value };
  const isDark = dark.value;
  const colours = useMemo(() => colourPoints(colouring, n, isDark), [colouring, n, isDark]);
  const group = columns.find((column) => column.id === colourId)?.group ?? "";
  const named = params.names.value && colouring.kind === "categories" && NAMED.includes(group) ? colouring : null;
  const shown = useMemo(
    () => both(passing, legendPasses(colouring, filter, n)),
    [passing, colouring, n, JSON.stringify(filter.hidden), filter.low, filter.high],
  );
  const counts = useMemo(
    () => (colouring.kind === "categories" ? countCategories(colouring, passing, n) : []),
    [colouring, passing, n],
  );
  const cycle = (by: 1 | -1) => params.colourBy(cycled(columns, colourId, by));
  const { flat } = props;
  const usual = params.usualStyle(n);
  const keys: PointKey[] = [
    { key: "c", title: "colour by the next column", run: () => cycle(1) },
    { key: "C", title: "colour by the column before", run: () => cycle(-1) },
    {
      key: "v",
      title: "select all points of this category",
      run: (point) => point !== null && selection.change(alike(colouring, point, shown, n), "replace"),
    },
  ];
  const listed = () => selection.mask ?? shown ?? new Uint8Array(n).fill(1);
  const save = (format: "csv" | "json") => {
    const { title } = colouring;
    const coloured =
      colouring.kind === "amounts"
        ? { title, values: colouring.values }
        : { title, codes: colouring.codes, labels: colouring.labels };
    const placed = axes.map((axis) => ({ title: axis.title, values: axis.values }));
    return longTableBlob({ columns: [...props.naming(), ...placed, coloured], points: pointsOf(listed()) }, format);
  };
  const points = selection.mask && selection.count <= ACTIONS ? pointsOf(selection.mask) : null;
  return (
    <>
      <div ref={frame} class="points-picture">
        <Points3d
          axes={axes}
          colours={colours}
          shown={shown}
          selected={selection.mask}
          labels={props.labels}
          regions={named}
          style={{
            size: params.size.value ?? usual.size,
            opacity: params.opacity.value ?? usual.opacity,
            restSize: params.restSize.value,
            restOpacity: params.restOpacity.value,
          }}
          flat={flat}
          height="max(400px, calc(100vh - 290px))"
          label={props.label}
          camera={params.view.value}
          onCamera={params.view.replace}
          onFlat={props.onFlat}
          preview={(point) => props.preview(point, sayColour(colouring, point))}
          onOpen={props.onOpen}
          {...(props.onClick ? { onClick: props.onClick } : {})}
          onSelect={selection.change}
          keys={keys}
        >
          <Legend
            key={colourId}
            colouring={colouring}
            counts={counts}
            filter={filter}
            onFilter={(next) => {
              if (next.hidden !== filter.hidden) params.hidden.set([...next.hidden]);
              if (next.low !== filter.low) params.low.set(next.low);
              if (next.high !== filter.high) params.high.set(next.high);
            }}
            onCycle={cycle}
          />
        </Points3d>
        <p class="points-caption muted">
          {props.label}, by {axes.slice(0, flat ? 2 : 3).map((item) => item.title).join(" × ")}. {describe(n, shown, axes)}
        </p>
      </div>
      <div class="points-status">
        {selection.count > 0 ? (
          <>
            <strong>{selection.count.toLocaleString("en")} selected</strong>
            <button type="button" onClick={() => selection.change(new Uint32Array(), "replace")}>
              Clear selection
            </button>
            {selection.linked ? null : <span class="muted">too many points for a link; save them as CSV or JSON</span>}
            {points ? props.actions?.(points) : null}
          </>
        ) : (
          <span class="muted">Nothing is selected: CSV and JSON contain all points shown.</span>
        )}
        <ExportMenu
          target={() => frame.current}
          name={`${props.fileName} by ${colour.value || colourId}`}
          data={[
            {
              title: "CSV",
              extension: "csv",
              type: "text/csv",
              make: () => save("csv"),
            },
            {
              title: "JSON",
              extension: "json",
              type: "application/json",
              make: () => save("json"),
            },
          ]}
        />
      </div>
    </>
  );
}

/** Return the shown points of the same category; for amounts, those within a twentieth of the range. */
function alike(colouring: Colouring, point: number, shown: Uint8Array | null, n: number): Uint32Array {
  const points: number[] = [];
  const near =
    colouring.kind === "categories"
      ? (i: number) => colouring.codes[i] === colouring.codes[point]
      : (i: number) =>
          Math.abs((colouring.values[i] ?? Number.NaN) - (colouring.values[point] ?? Number.NaN)) <=
          (colouring.high - colouring.low) / 20;
  for (let i = 0; i < n; i++) if ((!shown || shown[i]) && near(i)) points.push(i);
  return Uint32Array.from(points);
}

function describe(n: number, shown: Uint8Array | null, axes: readonly PointAxis[]): string {
  let count = 0;
  let missing = 0;
  for (let i = 0; i < n; i++) {
    if (shown && shown[i] === 0) continue;
    if (axes.every((axis) => Number.isFinite(axis.values[i]))) count += 1;
    else missing += 1;
  }
  const all = `${count.toLocaleString("en")} of ${n.toLocaleString("en")} points`;
  return missing === 0 ? `${all}.` : `${all}; ${missing.toLocaleString("en")} have no value on these axes.`;
}
