import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Manifest } from "../../contract/generated";
import { classes, layers, models } from "../../state/params";
import { Grouped } from "../../views/controls/grouped";
import { Check, keepInside, Many } from "../../views/controls/view";
import type { Base } from "./base";
import type { PointColumn } from "./columns";
import * as params from "./params";
import "./points.css";

interface ColumnSelectProps {
  label: string;
  value: string;
  columns: readonly PointColumn[];
  /** "no third axis". */
  none?: string;
  onChange: (id: string) => void;
}

/** Controls above the picture, closed at first on narrow screens. */
export function Bar({ children }: { children: ComponentChildren }) {
  const [open] = useState(!window.matchMedia("(max-width: 640px)").matches);
  return (
    <details class="points-fold" open={open}>
      <summary>Axes, colour, filters</summary>
      <div class="toolbar points-bar">{children}</div>
    </details>
  );
}

/** A searchable choice of a column, by groups. */
export function ColumnSelect({ label, value, columns, none, onChange }: ColumnSelectProps) {
  const first = none === undefined ? [] : [{ value: "none", title: none, group: "" }];
  const rest = columns.map(({ id, title, group }) => ({ value: id, title, group }));
  return <Grouped label={label} value={value} options={[...first, ...rest]} onChange={onChange} />;
}

/** Select boxes of the axes; the third may be none. */
export function AxisSelects({ columns, ids }: { columns: readonly PointColumn[]; ids: readonly string[] }) {
  const numeric = columns.filter((column) => column.numeric);
  return (
    <>
      <ColumnSelect label="x" value={ids[0] ?? ""} columns={numeric} onChange={params.x.set} />
      <ColumnSelect label="y" value={ids[1] ?? ""} columns={numeric} onChange={params.y.set} />
      <ColumnSelect label="z" value={ids[2] ?? "none"} columns={numeric} none="none" onChange={params.z.set} />
    </>
  );
}

/** Filters of the heads. */
export function HeadFilters({ manifest, base }: { manifest: Manifest; base: Base }) {
  const deepest = Math.max(...manifest.models.map((model) => model.n_layers)) - 1;
  const [from, to] = layers.value ?? [0, deepest];
  const set = (low: number, high: number) => layers.set(low <= 0 && high >= deepest ? null : [low, high]);
  const field = (title: string, value: number, change: (value: number) => void) => (
    <input
      type="number"
      aria-label={title}
      min={0}
      max={deepest}
      value={value}
      onChange={(event) => {
        const typed = Math.round(Number(event.currentTarget.value));
        if (Number.isFinite(typed)) change(Math.min(deepest, Math.max(0, typed)));
      }}
    />
  );
  return (
    <>
      {manifest.models.length > 1 ? (
        <Many
          label="Models"
          values={models.value}
          options={manifest.models.map((model) => ({ value: model.name, title: model.name }))}
          onChange={models.set}
        />
      ) : null}
      <span class="control layers">
        <span>Layers</span>
        {field("First layer", from, (value) => set(value, Math.max(value, to)))}–
        {field("Last layer", to, (value) => set(Math.min(from, value), value))}
      </span>
      <Many
        label="Classes"
        values={classes.value}
        options={base.classes
          .filter((item) => item.rows.length > 0)
          .map((item) => ({ value: item.name, title: item.name, count: item.rows.length }))}
        onChange={classes.set}
      />
    </>
  );
}

const SLIDERS = [
  { param: params.size, title: "Size", low: 1, high: 24, step: 0.5 },
  { param: params.opacity, title: "Opacity", low: 0.02, high: 1, step: 0.02 },
  { param: params.restSize, title: "Size, not selected", low: 1, high: 24, step: 0.5 },
  { param: params.restOpacity, title: "Opacity, not selected", low: 0, high: 1, step: 0.02 },
] as const;

/** Size and opacity of the points, whose default depends on their number, and the names in the picture. */
export function PointStyling({ n }: { n: number }) {
  const usual = params.usualStyle(n);
  const shown = (param: (typeof SLIDERS)[number]["param"]) =>
    param.value ?? (param === params.size ? usual.size : usual.opacity);
  return (
    <details class="control many" onToggle={(event) => keepInside(event.currentTarget)}>
      <summary>
        <span>Points</span> <span class="many-value">size and opacity</span>
      </summary>
      <div class="many-list">
        {SLIDERS.map(({ param, title, low, high, step }) => (
          <label key={title} class="points-style">
            <span>{title}</span>
            <input
              type="range"
              min={low}
              max={high}
              step={step}
              value={shown(param)}
              onInput={(event) => param.replace(Number(event.currentTarget.value))}
            />
            <span class="number">{Number(shown(param).toFixed(2))}</span>
          </label>
        ))}
        <Check label="Names of classes and clusters" value={params.names.value} onChange={params.names.set} />
      </div>
    </details>
  );
}

/** Checkbox for 2-D. */
export function FlatCheck({ flat, onChange }: { flat: boolean; onChange: (flat: boolean) => void }) {
  return <Check label="2-D" value={flat} onChange={onChange} />;
}
