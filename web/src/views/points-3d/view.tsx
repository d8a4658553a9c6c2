import "./view.css";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import { dark } from "../../state/theme";
import { drawBeforeExport } from "../export-menu/redraw";
import { Empty } from "../states/view";
import type { Points3dProps, PointStyle, PointTool, PointTurning } from "./api";
import type { Engine, EngineEvents, EngineFrame } from "./engine";
import { Help } from "./help";
import { keyOf, stepFrom, viewKeys } from "./keys";
import { looks } from "./looks";
import { Overlay } from "./overlay";
import { place } from "./place";
import { Preview, type Hovered } from "./preview";
import type { Spot } from "./select";
import { Statistics, Tools } from "./tools";

const STYLE: PointStyle = { size: 5, opacity: 1, restSize: 3, restOpacity: 0.25 };

/** Points in three or two dimensions. */
export function Points3d(props: Points3dProps) {
  const { axes, colours, shown = null, selected = null, labels = [], compact = false } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const engine = useRef<Engine | null>(null);
  const frame = useRef(signal<EngineFrame | null>(null)).current;
  const latest = useRef(props);
  latest.current = props;
  const wrote = useRef("");
  const [ready, setReady] = useState(false);
  const [problem, setProblem] = useState("");
  const [hovered, setHovered] = useState<Hovered | null>(null);
  const [outline, setOutline] = useState<Spot[] | null>(null);
  const [tool, setTool] = useState<PointTool>("move");
  const [turning, setTurning] = useState<PointTurning>("orbit");
  const [open, setOpen] = useState({ help: false, orientation: true, statistics: false, legend: true });
  const flat = axes.length < 3 || props.flat === true;
  const isDark = dark.value;
  const style = { ...STYLE, ...props.style };
  const placed = useMemo(() => place(axes), axes.map((axis) => axis.values));
  const named = labels.map((one) => one.point);
  const look = useMemo(
    () => looks(colours, { finite: placed.finite, shown, selected, named }),
    [placed, colours, shown, selected, named.join()],
  );
  const hover = useRef(hovered);
  const show = (next: Hovered | null) => {
    hover.current = next;
    setHovered(next);
  };

  useEffect(() => {
    let ended = false;
    const events: EngineEvents = {
      frame: (view) => {
        frame.value = view;
        const now = hover.current;
        if (!now?.pinned) return;
        // A preview that stays goes along with its point.
        const spot = engine.current?.spotOf(now.point);
        if (spot && (spot[0] !== now.spot[0] || spot[1] !== now.spot[1])) show({ ...now, spot });
      },
      hover: (point, spot) => {
        if (hover.current?.pinned) return;
        show(point === null || !spot ? null : { point, spot, pinned: false });
      },
      click: (point, spot, touch) => {
        show(point === null ? null : { point, spot, pinned: true });
        // A tap has no hover before it: it shows the point first, with a link in the preview.
        if (point !== null && !touch) latest.current.onClick?.(point);
      },
      open: (point) => latest.current.onOpen?.(point),
      outline: setOutline,
      select: (points, how) => latest.current.onSelect?.(points, how),
      rest: (camera) => {
        wrote.current = camera;
        latest.current.onCamera?.(camera);
      },
    };
    import("./engine").then(
      ({ createEngine }) => {
        if (ended || !canvas.current) return;
        try {
          engine.current = createEngine(canvas.current, events);
        } catch {
          setProblem("This browser has no WebGL 2, or has switched it off.");
          return;
        }
        canvas.current.addEventListener("webglcontextlost", () => {
          if (!ended) setProblem("The graphics card has stopped drawing: reload the page.");
        });
        drawBeforeExport(canvas.current, () => engine.current?.draw());
        setReady(true);
      },
      () => setProblem("A part of the page could not be loaded: reload it."),
    );
    return () => {
      ended = true;
      engine.current?.dispose();
      engine.current = null;
    };
  }, []);
  useEffect(() => engine.current?.setFlat(flat), [ready, flat]);
  useEffect(() => {
    const camera = props.camera ?? "";
    if (!engine.current) return;
    // What the picture wrote itself is not read back: it would stop a movement.
    if (camera !== wrote.current || camera === "") engine.current.setCamera(camera);
    wrote.current = camera;
  }, [ready, props.camera]);
  useEffect(() => {
    engine.current?.setPoints(placed);
    engine.current?.setLook(look);
  }, [ready, placed]);
  useEffect(() => engine.current?.setLook(look), [ready, look]);
  useEffect(() => {
    const ring = isDark ? "#ffffff" : "#14171b";
    engine.current?.setStyle(style, selected !== null, ring);
  }, [ready, style.size, style.opacity, style.restSize, style.restOpacity, selected === null, isDark]);
  useEffect(() => engine.current?.setTool(tool), [ready, tool]);
  useEffect(() => engine.current?.setTurning(turning), [ready, turning]);

  const reset = () => {
    wrote.current = "";
    engine.current?.setCamera("");
    props.onCamera?.("");
  };
  const toggle = (name: keyof typeof open) => setOpen((was) => ({ ...was, [name]: !was[name] }));
  const pick = (next: PointTool) => setTool((was) => (was === next || !props.onSelect ? "move" : next));
  const step = (by: number) => {
    const point = stepFrom(hover.current?.point ?? -1, by, look, selected !== null);
    const spot = point === null ? null : engine.current?.spotOf(point);
    if (point !== null && spot) show({ point, spot, pinned: true });
  };
  const actions = viewKeys({
    tool: pick,
    turning: () => setTurning((was) => (was === "orbit" ? "look" : "orbit")),
    flat: () => axes.length > 2 && props.onFlat?.(!flat),
    reset,
    zoom: (factor) => engine.current?.zoom(factor),
    toggle,
    step,
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
    const own = compact ? undefined : props.keys?.find((one) => one.key === event.key);
    const action = own ? () => own.run(hover.current?.point ?? null) : actions[keyOf(event)];
    if (!action) return;
    event.preventDefault();
    action();
  };
  if (problem !== "") {
    return (
      <Empty title="The points cannot be drawn">
        {problem} The numbers can still be saved as CSV and JSON.
      </Empty>
    );
  }
  const height = props.height ?? (compact ? "240px" : "min(74vh, 900px)");
  return (
    <div class="points-3d" data-compact={compact} data-flat={flat} data-tool={tool} style={{ height }}>
      <canvas
        ref={canvas}
        class="points-3d-canvas"
        tabIndex={0}
        role="application"
        aria-roledescription="scatter plot"
        aria-label={`${props.label}. ${compact ? "" : "H shows the keys, N goes from point to point."}`}
        data-ready={ready}
        onKeyDown={onKey}
      />
      <Overlay
        frame={frame}
        placed={placed}
        axes={axes}
        flat={flat}
        labels={labels}
        outline={outline && tool === "rectangle" ? corners(outline) : outline}
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

function corners(outline: Spot[]): Spot[] {
  const [first, last] = [outline[0] as Spot, outline.at(-1) as Spot];
  return [first, [last[0], first[1]], last, [first[0], last[1]]];
}
