import "./view.css";
import { useSignal, type ReadonlySignal } from "@preact/signals";
import { useRef, useState } from "preact/hooks";
import { composed } from "../../data/composed";
import type { LayerHeadGridProps } from "./api";

/** Space for the labels of layers and of heads, in pixels. */
const LEFT = 30;
const TOP = 16;

type At = readonly [layer: number, index: number];

/** One rectangle per head, layer 0 on top. Arrow keys move, Space picks. */
export function LayerHeadGrid(props: LayerHeadGridProps) {
  const { model, nLayers, nHeads, cell = 14, onPick, onPickMany, onHover } = props;
  const layers = layersOf(props);
  const [at, setAt] = useState<At>([layers[0] ?? 0, 0]);
  const [focused, setFocused] = useState(false);
  const over = useSignal<At | null>(null);
  const svg = useRef<SVGSVGElement>(null);
  const width = LEFT + nHeads * cell + 1;
  const height = TOP + nLayers * cell + 1;
  const find = (event: MouseEvent): { layer: number; index: number } => {
    const box = svg.current?.getBoundingClientRect();
    // The style sheet shrinks the grid where it has too little room.
    const zoom = box && box.width > 0 ? width / box.width : 1;
    const x = (event.clientX - (box?.left ?? 0)) * zoom;
    const y = (event.clientY - (box?.top ?? 0)) * zoom;
    return { layer: Math.floor((y - TOP) / cell), index: Math.floor((x - LEFT) / cell) };
  };
  const onClick = (event: MouseEvent) => {
    const { layer, index } = find(event);
    const inLayers = layers.includes(layer);
    const inHeads = index >= 0 && index < nHeads;
    if (inLayers && inHeads) {
      setAt([layer, index]);
      onPick?.(layer, index, event.shiftKey);
    } else if (inLayers) {
      onPickMany?.(Array.from({ length: nHeads }, (_, head) => [layer, head] as const));
    } else if (inHeads) {
      onPickMany?.(layers.map((layer) => [layer, index] as const));
    }
  };
  const onMove = (event: MouseEvent) => {
    const { layer, index } = find(event);
    const inside = layers.includes(layer) && index >= 0 && index < nHeads;
    const [overLayer, overIndex] = over.peek() ?? [];
    if (!inside) over.value = null;
    else if (overLayer !== layer || overIndex !== index) over.value = [layer, index];
    onHover?.(inside ? [layer, index] : null);
  };
  const onLeave = () => {
    over.value = null;
    onHover?.(null);
  };
  // Keys may come faster than the page is drawn: the next one starts from where the last one led.
  const latest = useRef(at);
  latest.current = at;
  const onKeyDown = (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    if (step) {
      event.preventDefault();
      const row = layers.indexOf(latest.current[0]) + step[0];
      const next: At = [
        layers[Math.min(layers.length - 1, Math.max(0, row))] ?? 0,
        Math.min(nHeads - 1, Math.max(0, latest.current[1] + step[1])),
      ];
      latest.current = next;
      setAt(next);
      onHover?.(next);
    } else if (event.key === " " || event.key === "Enter") {
      event.preventDefault();
      onPick?.(...latest.current, event.shiftKey);
    }
  };
  return (
    <svg
      ref={svg}
      class="layer-head-grid"
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      tabIndex={0}
      role="application"
      aria-roledescription="grid of heads"
      aria-label={composed`Heads of ${model}, a row per layer. Now ${name(props, at)}. Arrow keys move, Space picks.`}
      data-picks={onPick !== undefined}
      onClick={onClick}
      onMouseMove={onMove}
      onMouseLeave={onLeave}
      onKeyDown={onKeyDown}
      onFocus={() => setFocused(true)}
      onBlur={() => setFocused(false)}
    >
      <Title over={over} grid={props} />
      <Labels nLayers={nLayers} nHeads={nHeads} cell={cell} />
      <Cells {...props} cell={cell} />
      {focused ? (
        <rect
          class="layer-head-grid-focus"
          data-export="no"
          x={LEFT + at[1] * cell}
          y={TOP + at[0] * cell}
          width={cell}
          height={cell}
        />
      ) : null}
    </svg>
  );
}

const STEPS: Record<string, At> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

function name({ model, describe }: LayerHeadGridProps, [layer, index]: At): string {
  const words = describe?.(layer, index) ?? "";
  return composed`${`${model}:L${layer}:H${index}`}${words ? composed`, ${words}` : ""}`;
}

function layersOf({ layers, nLayers }: LayerHeadGridProps): readonly number[] {
  return layers ?? Array.from({ length: nLayers }, (_, layer) => layer);
}

function Labels({ nLayers, nHeads, cell }: { nLayers: number; nHeads: number; cell: number }) {
  // As many labels as fit, at round numbers.
  const every = (room: number) => [1, 2, 5, 10, 20, 50].find((step) => step * cell >= room) ?? 100;
  const layerStep = every(12);
  const headStep = every(nHeads > 10 ? 24 : 18);
  return (
    <>
      {range(nLayers, layerStep).map((layer) => (
        <text key={`l${layer}`} x={LEFT - 5} y={TOP + (layer + 0.5) * cell} class="layer">
          L{layer}
        </text>
      ))}
      {range(nHeads, headStep).map((head) => (
        <text key={`h${head}`} x={LEFT + (head + 0.5) * cell} y={TOP - 5} class="head">
          H{head}
        </text>
      ))}
    </>
  );
}

function range(n: number, step: number): number[] {
  return Array.from({ length: Math.ceil(n / step) }, (_, i) => i * step);
}

/** A path per colour and mark instead of an element per head: pages show tens of thousands of heads. */
function Cells(props: LayerHeadGridProps & { cell: number }) {
  const { nHeads, cell, colour, selected } = props;
  const side = cell - 1;
  const groups = new Map<string, { fill: string | undefined; marked: boolean; heads: number; outline: string }>();
  for (const layer of layersOf(props)) {
    for (let index = 0; index < nHeads; index++) {
      const [fill, marked] = [colour?.(layer, index), selected?.(layer, index) ?? false];
      const key = `${marked} ${fill}`;
      const group = groups.get(key) ?? { fill, marked, heads: 0, outline: "" };
      groups.set(key, group);
      group.heads += 1;
      group.outline += `M${LEFT + index * cell + 0.5} ${TOP + layer * cell + 0.5}h${side}v${side}h${-side}z`;
    }
  }
  // Marked ones are drawn last, so that their outlines are whole.
  const ordered = [...groups].sort(([, a], [, b]) => Number(a.marked) - Number(b.marked));
  return (
    <>
      {ordered.map(([key, { fill, marked, heads, outline }]) => (
        <path key={key} d={outline} fill={fill} data-selected={marked} data-heads={heads} />
      ))}
    </>
  );
}

/** The name of the head under the pointer. A component of its own: it alone follows the pointer. */
function Title({ over, grid }: { over: ReadonlySignal<At | null>; grid: LayerHeadGridProps }) {
  return over.value === null ? null : <title data-export="no">{name(grid, over.value)}</title>;
}
