import "./view.css";
import { useMemo, useState } from "preact/hooks";
import { composed } from "../../data/composed";
import type { DendrogramProps } from "./api";
import { clusterBelow, place, selectedBelow, top, type Placed } from "./layout";

/** Least pixels per end of the tree. */
const APART = 2.5;
const LEFT = 34;
const BELOW = 8;

/** A tree. Click a branch or leaf, or use the arrow keys and Enter. */
export function Dendrogram(props: DendrogramProps) {
  const { linkage, labels, colour, selected, leafName, onPick, width, height, label } = props;
  const inner = Math.max(10, width - LEFT - 4);
  const root = useMemo(() => place(top(linkage, Math.max(2, Math.floor(inner / APART))), inner), [linkage, inner]);
  const nodes = useMemo(() => root.descendants(), [root]);
  const counts = useMemo(() => selectedBelow(linkage, selected), [linkage, selected]);
  const clusters = useMemo(() => clusterBelow(linkage, labels), [linkage, labels]);
  const [at, setAt] = useState<Placed | null>(null);
  const [focused, setFocused] = useState(false);
  const most = Math.max(root.data.height, 1e-12);
  const y = (value: number) => 6 + (1 - value / most) * (height - BELOW - 6);
  const describe = ({ data }: Placed) =>
    data.size === 1
      ? leafName(data.node)
      : `${data.size} heads, merged at ${Number(data.height.toPrecision(3))}`;
  const now = at && nodes.includes(at) ? at : null;
  const current = now ?? root;
  return (
    <div class="dendrogram">
      <svg
        width={width}
        height={height}
        viewBox={`0 0 ${width} ${height}`}
        tabIndex={0}
        role="application"
        aria-roledescription="tree"
        aria-label={composed`${label}. Now ${describe(current)}. Arrow keys move along branches, Enter selects.`}
        onFocus={() => setFocused(true)}
        onBlur={() => setFocused(false)}
        onMouseLeave={() => setAt(null)}
        onKeyDown={(event) => {
          const next = walk(current, event.key);
          if (next) setAt(next);
          else if (event.key === "Enter" || event.key === " ") onPick(current.data.node);
          else return;
          event.preventDefault();
        }}
      >
        <Scale y={y} most={most} />
        <g transform={`translate(${LEFT} 0)`}>
          {nodes.map((node) => (
            <Branch
              key={node.data.node}
              node={node}
              y={y}
              cluster={clusters[node.data.node] as number}
              colour={colour}
              full={(counts[node.data.node] as number) === node.data.size}
              onPick={onPick}
              onHover={setAt}
            />
          ))}
          <line class="dendrogram-cut" x1={0} x2={inner} y1={y(Math.min(most, props.cutHeight))} y2={y(Math.min(most, props.cutHeight))} />
          {now && (focused || at) ? (
            <circle class="dendrogram-at" data-export="no" cx={now.x} cy={y(now.data.height)} r={4} />
          ) : null}
        </g>
      </svg>
      <p class="muted dendrogram-status" role="status" data-export="no">
        {now ? describe(now) : "Click a branch or a leaf to select its heads. The dashed line is the cut."}
      </p>
    </div>
  );
}

interface BranchProps {
  node: Placed;
  y: (height: number) => number;
  cluster: number;
  colour: (cluster: number) => string;
  full: boolean;
  onPick: (node: number) => void;
  onHover: (node: Placed) => void;
}

/** A merge with lines to its children, or a wedge. */
function Branch({ node, y, cluster, colour, full, onPick, onHover }: BranchProps) {
  const { data, x } = node;
  const base = y(0);
  const [left, right] = node.children ?? [];
  let path = `M${x} ${base}v${BELOW - 2}`;
  if (left && right) {
    path = `M${left.x} ${y(left.data.height)}V${y(data.height)}H${right.x}V${y(right.data.height)}`;
  } else if (data.folded) {
    path = `M${x} ${y(data.height)}l-1.2 ${base - y(data.height)}h2.4z`;
  }
  return (
    <g
      class="dendrogram-branch"
      data-selected={full}
      onClick={() => onPick(data.node)}
      onMouseEnter={() => onHover(node)}
    >
      <path d={path} class="dendrogram-reach" data-export="no" />
      <path
        d={path}
        class="dendrogram-line"
        stroke={cluster >= 0 ? colour(cluster) : "currentColor"}
        fill={data.folded && cluster >= 0 ? colour(cluster) : "none"}
      />
    </g>
  );
}

/** Ticks of the heights. */
function Scale({ y, most }: { y: (height: number) => number; most: number }) {
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((item) => item * power >= rough) ?? 10) * power;
  const ticks = Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step);
  return (
    <>
      {ticks.map((value) => (
        <g key={value} class="dendrogram-tick">
          <line x1={LEFT - 4} x2={LEFT - 1} y1={y(value)} y2={y(value)} />
          <text x={LEFT - 7} y={y(value) + 3.5} text-anchor="end">
            {Number(value.toPrecision(3))}
          </text>
        </g>
      ))}
    </>
  );
}

/** Return the node that a key leads to; null for other keys. */
function walk(from: Placed, key: string): Placed | null {
  const siblings = from.parent?.children ?? [];
  const place = siblings.indexOf(from);
  if (key === "ArrowUp") return from.parent ?? null;
  if (key === "ArrowDown") return from.children?.[0] ?? null;
  if (key === "ArrowLeft") return siblings[place - 1] ?? from.children?.[0] ?? null;
  if (key === "ArrowRight") return siblings[place + 1] ?? from.children?.at(-1) ?? null;
  return null;
}
