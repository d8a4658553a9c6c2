import "./view.css";
import { effect } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { composed } from "../../data/composed";
import type { Pattern } from "../../data/patterns";
import { useResource } from "../../state/resource";
import { useNear } from "../near/view";
import { frame } from "../pattern-canvas/frame";
import { cellIn } from "../pattern-matrix/keys";
import type { GridRow, PatternGridProps } from "./api";
import { drawCursor, drawRow, GAP } from "./draw";

/** Pixels before the edge of the screen at which a row is drawn. */
const AHEAD = 300;

const STEPS: Record<string, readonly [layers: number, heads: number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/** Small patterns of all heads, a row per layer. Arrow keys choose a head. */
export function PatternGrid(props: PatternGridProps) {
  const { label, rows, size, selected, onPick, onHover } = props;
  const most = Math.max(0, ...rows.map((row) => row.nHeads));
  // Keys may come faster than the page is drawn: the next one starts from the head just chosen.
  const latest = useRef(selected);
  latest.current = selected;
  const onKeyDown = (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    const [layer, head] = latest.current;
    const row = rows.findIndex((item) => item.layer === layer);
    if (!step || row < 0) return;
    event.preventDefault();
    const to = rows[Math.min(rows.length - 1, Math.max(0, row + step[0]))] as GridRow;
    latest.current = [to.layer, Math.min(to.nHeads - 1, Math.max(0, head + step[1]))];
    onPick(...latest.current);
  };
  return (
    <div
      class="pattern-grid"
      tabIndex={0}
      role="application"
      aria-roledescription="map of heads"
      aria-label={composed`${label}. Now layer ${selected[0]}, head ${selected[1]}. Arrow keys choose a head.`}
      onKeyDown={onKeyDown}
      onPointerLeave={() => onHover(null)}
    >
      <div class="pattern-grid-row pattern-grid-heads" aria-hidden="true">
        <span class="pattern-grid-label" />
        {Array.from({ length: most }, (_, head) => (
          <span key={head} style={{ width: `${size}px`, marginRight: `${GAP}px` }}>
            {size < 24 && head % 5 !== 0 ? "" : `H${head}`}
          </span>
        ))}
      </div>
      {rows.map((row) => (
        <Row key={row.layer} {...props} row={row} />
      ))}
    </div>
  );
}

function Row(props: PatternGridProps & { row: GridRow }) {
  const { row, size, n, style, selected, marked, follow = true } = props;
  const place = useRef<HTMLDivElement>(null);
  const near = useNear(place, AHEAD);
  const isChosen = selected[0] === row.layer;
  useEffect(() => {
    if (isChosen && follow) place.current?.scrollIntoView({ block: "nearest" });
  }, [isChosen]);
  const frames = Array.from({ length: row.nHeads }, (_, head) => head).filter(
    (head) => (isChosen && head === selected[1]) || marked(row.layer, head),
  );
  return (
    <div ref={place} class="pattern-grid-row" style={{ height: `${size}px`, marginBottom: `${GAP}px` }}>
      <span class="pattern-grid-label">L{row.layer}</span>
      <div class="pattern-grid-patterns" style={{ width: `${row.nHeads * (size + GAP) - GAP}px` }}>
        {near ? <Patterns {...props} key={`${size} ${n} ${style.sink}`} /> : null}
        {frames.map((head) => (
          <span
            key={head}
            class="pattern-grid-frame"
            data-chosen={isChosen && head === selected[1]}
            style={{ left: `${head * (size + GAP)}px`, width: `${size}px`, height: `${size}px` }}
          />
        ))}
      </div>
    </div>
  );
}

function Patterns({ row, ...props }: PatternGridProps & { row: GridRow }) {
  const { size, n, style, load, active, describe, onPick, onHover } = props;
  const patterns = useResource(() => load(row.layer), [row.layer]);
  const picture = useRef<HTMLCanvasElement>(null);
  const cursor = useRef<HTMLCanvasElement>(null);
  const ready = patterns.status === "ready" ? patterns.value : null;
  useLayoutEffect(() => {
    if (picture.current && ready) drawRow(picture.current, ready, size, style);
  }, [ready, size, style.scale, style.map, style.sink]);
  useEffect(
    () =>
      effect(() => {
        if (cursor.current) drawCursor(cursor.current, row.nHeads, size, style, active.value, n);
      }),
    [size, n, style.sink, active],
  );
  if (patterns.status === "failed") return <span role="alert">{patterns.error.message}</span>;
  const find = (event: MouseEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const x = event.clientX - box.left;
    const head = Math.floor(x / (size + GAP));
    const pattern = ready?.[head];
    if (pattern === undefined || x - head * (size + GAP) >= size) return null;
    const cell = cellIn(x - head * (size + GAP), event.clientY - box.top, frame(size, style.sink), n);
    return { layer: row.layer, head, pattern: pattern as Pattern, cell };
  };
  const place = { width: `${row.nHeads * (size + GAP) - GAP}px`, height: `${size}px` };
  return (
    <>
      <canvas ref={picture} style={place} {...(ready ? {} : { "data-waiting": "true" })} />
      <canvas
        ref={cursor}
        class="pattern-grid-cursor"
        style={place}
        onPointerMove={(event) => {
          const at = find(event);
          event.currentTarget.title = at ? describe(at.layer, at.head) : "";
          onHover(at);
        }}
        onClick={(event) => {
          const at = find(event);
          if (at) onPick(at.layer, at.head);
        }}
      />
    </>
  );
}
