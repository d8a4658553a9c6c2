import "./view.css";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { dark } from "../../state/theme";
import { Empty } from "../states/view";
import type { Points3dProps, PointStyle, PointTool, PointTurning } from "./api";
import type { EngineEvents } from "./engine";
import { Help } from "./help";
import { keyOf, stepFrom, viewKeys } from "./keys";
import { looks } from "./looks";
import { Overlay } from "./overlay";
import { place } from "./place";
import { Preview, type Hovered } from "./preview";
import { regions } from "./regions";
import { rectangle, type Spot } from "./select";
import { Statistics, Tools } from "./tools";
import { useEngine, type EngineOfCanvas } from "./use-engine";

const STYLE: PointStyle = { size: 5, opacity: 1, restSize: 3, restOpacity: 0.25 };

const PROBLEMS = {
  "no-webgl": "This browser has no WebGL 2, or WebGL is switched off.",
  "not-loaded": "A script of this page could not be loaded. Reload the page.",
} as const;

/** Points in three or two dimensions. */
export function Points3d(props: Points3dProps) {
  const { axes, colours, shown = null, selected = null, labels = [], compact = false } = props;
  const { hover, hovered, show } = useHovered();
  const [outline, setOutline] = useState<Spot[] | null>(null);
  const [tool, setTool] = useState<PointTool>("move");
  const [turning, setTurning] = useState<PointTurning>("orbit");
  const [open, setOpen] = useState({ help: false, orientation: true, statistics: false, legend: true });
  const flat = axes.length < 3 || props.flat === true;
  const placed = useMemo(() => place(axes), axes.map((axis) => axis.values));
  const named = labels.map((label) => label.point);
  const look = useMemo(
    () => looks(colours, { finite: placed.finite, shown, selected, named }),
    [placed, colours, shown, selected, named.join()],
  );
  const middles = useMemo(() => {
    const { regions: named } = props;
    return named ? regions(named, placed, Uint8Array.from({ length: placed.n }, (_, i) => look[4 * i + 3] as number)) : [];
  }, [props.regions, placed, look]);
  const wrote = useRef("");
  const events: EngineEvents = {
    frame: () => {
      const now = hover.current;
      if (!now?.pinned) return;
      // A pinned preview follows its point.
      const spot = drawing.engine.current?.spotOf(now.point);
      if (spot && (spot[0] !== now.spot[0] || spot[1] !== now.spot[1])) show({ ...now, spot });
    },
    hover: (point, spot) => {
      if (hover.current?.pinned) return;
      show(point === null || !spot ? null : { point, spot, pinned: false });
    },
    click: (point, spot, touch) => {
      show(point === null ? null : { point, spot, pinned: true });
      // A tap has no hover before it: it shows the point first, with a link in the preview.
      if (point !== null && !touch) props.onClick?.(point);
    },
    open: (point) => props.onOpen?.(point),
    outline: setOutline,
    select: (points, how) => props.onSelect?.(points, how),
    rest: (camera) => {
      wrote.current = camera;
      props.onCamera?.(camera);
    },
  };
  const drawing = useEngine(events);
  const { canvas, engine, frame, status } = drawing;
  useDrawn(drawing, { props, placed, look, flat, tool, turning, wrote });

  const toggle = (name: keyof typeof open) => setOpen((was) => ({ ...was, [name]: !was[name] }));
  const pick = (next: PointTool) => setTool((was) => (was === next || !props.onSelect ? "move" : next));
  const actions = viewKeys({
    tool: pick,
    turning: () => setTurning((was) => (was === "orbit" ? "look" : "orbit")),
    flat: () => axes.length > 2 && props.onFlat?.(!flat),
    reset: () => {
      wrote.current = "";
      engine.current?.setCamera("");
      props.onCamera?.("");
    },
    zoom: (factor) => engine.current?.zoom(factor),
    toggle,
    step: (by) => {
      const point = stepFrom(hover.current?.point ?? -1, by, look, selected !== null);
      const spot = point === null ? null : engine.current?.spotOf(point);
      if (point !== null && spot) show({ point, spot, pinned: true });
    },
    pin: () => hover.current && show({ ...hover.current, pinned: !hover.current.pinned }),
    open: () => hover.current && props.onOpen?.(hover.current.point),
    clear: () => props.onSelect?.(new Uint32Array(), "replace"),
    leave: () => {
      show(null);
      setTool("move");
      setOpen((was) => ({ ...was, help: false }));
    },
  });
  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const ofPage = compact ? undefined : props.keys?.find((key) => key.key === event.key);
    const action = ofPage ? () => ofPage.run(hover.current?.point ?? null) : actions[keyOf(event)];
    if (!action) return;
    event.preventDefault();
    action();
  };
  if (status === "no-webgl" || status === "not-loaded") {
    return (
      <Empty title="The points cannot be drawn">
        {PROBLEMS[status]} The numbers can still be saved as CSV and JSON.
      </Empty>
    );
  }
  const height = props.height ?? (compact ? "240px" : "min(74vh, 900px)");
  return (
    <div class="points-3d" data-compact={compact} data-flat={flat} data-tool={tool} style={{ height }}>
      <canvas
        key={drawing.attempt}
        ref={canvas}
        class="points-3d-canvas"
        tabIndex={0}
        role="application"
        aria-roledescription="scatter plot"
        aria-label={`${props.label}. ${compact ? "" : "H shows the keys, N goes from point to point."}`}
        data-ready={status === "ready"}
        onKeyDown={onKey}
      />
      {status === "lost" ? <Lost onRestart={drawing.restart} /> : null}
      <Overlay
        frame={frame}
        placed={placed}
        axes={axes}
        flat={flat}
        labels={labels}
        regions={middles}
        outline={outline && tool === "rectangle" ? rectangle(outline[0] as Spot, outline.at(-1) as Spot) : outline}
        orientation={open.orientation}
        compact={compact}
      />
      {compact ? null : (
        <Tools
          tool={tool}
          turning={turning}
          flat={flat}
          selecting={props.onSelect !== undefined}
          depth={axes.length > 2 && props.onFlat !== undefined}
          onTool={pick}
          onKey={(key) => {
            actions[key]?.();
            canvas.current?.focus({ preventScroll: true });
          }}
        />
      )}
      {props.children && open.legend ? <div class="points-3d-legend">{props.children}</div> : null}
      {hovered && props.preview ? (
        <Preview hovered={hovered} frame={frame} onClose={() => show(null)}>
          {props.preview(hovered.point)}
        </Preview>
      ) : null}
      {open.statistics ? <Statistics frame={frame} look={look} read={() => engine.current?.statistics() ?? null} /> : null}
      {open.help ? (
        <Help keys={props.keys ?? []} selecting={props.onSelect !== undefined} onClose={() => toggle("help")} />
      ) : null}
    </div>
  );
}

/** The point under the cursor. The reference holds the newest value between two renderings. */
function useHovered() {
  const [hovered, setHovered] = useState<Hovered | null>(null);
  const hover = useRef(hovered);
  const show = (next: Hovered | null) => {
    hover.current = next;
    setHovered(next);
  };
  return { hover, hovered, show };
}

interface Drawn {
  props: Points3dProps;
  placed: ReturnType<typeof place>;
  look: Uint8Array;
  flat: boolean;
  tool: PointTool;
  turning: PointTurning;
  /** Camera that the picture reported last. */
  wrote: { current: string };
}

/** Pass what changed to the engine; all of it when the engine is new. */
function useDrawn({ engine, status }: EngineOfCanvas, drawn: Drawn): void {
  const { props, placed, look, flat, tool, turning, wrote } = drawn;
  const ready = status === "ready";
  const chosen = props.selected !== null && props.selected !== undefined;
  const style = { ...STYLE, ...props.style };
  const isDark = dark.value;
  const started = useRef(false);
  useEffect(() => engine.current?.setFlat(flat), [ready, flat]);
  useEffect(() => {
    if (!engine.current) {
      started.current = false;
      return;
    }
    const camera = props.camera ?? wrote.current;
    // What the picture reported is not read back: that would stop a movement. A new engine needs it.
    if (!started.current || camera !== wrote.current || camera === "") engine.current.setCamera(camera);
    started.current = true;
    wrote.current = camera;
  }, [ready, props.camera]);
  useEffect(() => {
    engine.current?.setPoints(placed);
    engine.current?.setLook(look);
  }, [ready, placed]);
  useEffect(() => engine.current?.setLook(look), [ready, look]);
  useEffect(() => {
    engine.current?.setStyle(style, chosen, isDark ? "#ffffff" : "#14171b");
  }, [ready, style.size, style.opacity, style.restSize, style.restOpacity, chosen, isDark]);
  useEffect(() => engine.current?.setTool(tool), [ready, tool]);
  useEffect(() => engine.current?.setTurning(turning), [ready, turning]);
}

/** In place of the picture while the graphics card does not draw. */
function Lost({ onRestart }: { onRestart: () => void }) {
  return (
    <div class="points-3d-lost" role="status" data-export="no">
      <p>The graphics card stopped drawing. The picture comes back when the card does.</p>
      <button type="button" onClick={onRestart}>
        Draw again
      </button>
    </div>
  );
}
