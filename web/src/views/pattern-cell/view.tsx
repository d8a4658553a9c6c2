import "./view.css";
import type { ComponentChildren } from "preact";
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { composed } from "../../data/composed";
import { weightAt, type Pattern } from "../../data/patterns";
import { head as headParam, prompt as promptParam, sink } from "../../state/params";
import { useResource } from "../../state/resource";
import { link } from "../../state/url";
import { useNear } from "../near/view";
import { frame } from "../pattern-canvas/frame";
import { PatternCanvas } from "../pattern-canvas/view";
import { percent } from "../pattern-inspect/reading";
import type { Cell } from "../pattern-matrix/api";
import { cellIn } from "../pattern-matrix/keys";
import { Cross } from "../pattern-matrix/view";
import type { PatternCellProps } from "./api";

/** Least side at which the weight under the pointer is written into the empty half of the picture. */
const READABLE = 64;
/** Pixels before the edge of the screen at which a pattern is loaded. */
const AHEAD = 400;

/** A pattern that links to its page. Far from the screen it holds no canvas. */
export function PatternCell(props: PatternCellProps) {
  const { size, border } = props;
  const place = useRef<HTMLDivElement>(null);
  const near = useNear(place, AHEAD);
  const frame = border === undefined ? {} : { outline: `3px solid ${border}` };
  return (
    <div ref={place} class="pattern-cell" style={{ width: `${size}px`, height: `${size}px`, ...frame }}>
      {near ? <Content {...props} /> : <Link {...props} />}
    </div>
  );
}

function Content(props: PatternCellProps) {
  const { row, prompt, load } = props;
  const pattern = useResource(() => load(row, prompt), [row, prompt]);
  if (pattern.status === "failed") {
    return (
      <button type="button" class="pattern-cell-failed" title={pattern.error.message} onClick={pattern.retry}>
        Not loaded. Try again
      </button>
    );
  }
  if (pattern.status === "loading") {
    return (
      <Link {...props}>
        <span data-waiting="true" />
      </Link>
    );
  }
  return <Picture {...props} pattern={pattern.value} />;
}

function Picture(props: PatternCellProps & { pattern: Pattern }) {
  const { row, prompt, size, head, cursor, pattern } = props;
  const own = useSignal<Cell | null>(null);
  const find = (event: MouseEvent): Cell | null => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    return cellIn(event.clientX - box.left, event.clientY - box.top, frame(size, sink.value), pattern.n);
  };
  return (
    <div
      onPointerMove={(event) => {
        const cell = find(event);
        if (!cursor) own.value = cell;
        else if (cell) cursor.onMove(pattern, cell);
      }}
      onPointerLeave={() => (own.value = null)}
    >
      <Link {...props}>
        <PatternCanvas pattern={pattern} size={size} label={composed`Attention of ${head}`} />
      </Link>
      <Marked pattern={pattern} size={size} at={() => (cursor ? cursor.at(row, prompt) : own.value)} />
    </div>
  );
}

/** The cross on the marked cell, with its weight. A component of its own: it alone follows the pointer. */
function Marked({ pattern, size, at }: { pattern: Pattern; size: number; at: () => Cell | null }) {
  const cell = at();
  if (!cell || cell.query >= pattern.n) return null;
  return (
    <span class="pattern-cell-cursor" data-export="no" aria-hidden="true">
      <Cross cell={cell} n={pattern.n} size={size} place={frame(size, sink.value)} locked={false} />
      {size < READABLE ? null : (
        <span class="pattern-cell-readout">
          {percent(weightAt(pattern, cell.query, cell.key))}
          <br />
          {cell.query} → {cell.key}
        </span>
      )}
    </span>
  );
}

function Link({ head, promptId, children }: PatternCellProps & { children?: ComponentChildren }) {
  return (
    <a
      href={link("pattern", headParam.to(head), promptParam.to(promptId))}
      aria-label={composed`Pattern of ${head} on prompt ${promptId}`}
    >
      {children}
    </a>
  );
}
