import "./view.css";
import { useRef } from "preact/hooks";
import { sink } from "../../state/params";
import { frame, type Frame } from "../pattern-canvas/frame";
import { PatternCanvas } from "../pattern-canvas/view";
import type { Cell, PatternMatrixProps } from "./api";
import { cellIn, columnAt, moves, walk } from "./keys";

/** A pattern with a cross on the active cell. */
export function PatternMatrix(props: PatternMatrixProps) {
  const { pattern, size, locked, active, describe, label, onHover, onLock, onMove } = props;
  const held = useRef(new Set<string>());
  const place = frame(size, sink.value);
  const find = (event: MouseEvent): Cell | null => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    return cellIn(event.clientX - box.left, event.clientY - box.top, place, pattern.n);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") onLock(null);
    else if ((event.key === "Enter" || event.key === " ") && active) {
      event.preventDefault();
      onLock(locked ? null : active);
    } else if (moves(event.key)) {
      event.preventDefault();
      held.current.add(event.key);
      const from = locked ?? active ?? { query: pattern.n - 1, key: 0 };
      onMove(walk(from, held.current, event.ctrlKey, pattern.n));
    }
  };
  return (
    <div
      class="pattern-matrix"
      style={{ width: `${size}px`, height: `${size}px` }}
      tabIndex={0}
      role="application"
      aria-label={`${label}. Click or press Enter to lock a cell; arrow keys move it, with Ctrl by ten; Escape unlocks it.`}
      onPointerMove={(event) => onHover(find(event))}
      onPointerLeave={() => onHover(null)}
      onClick={(event) => onLock(find(event))}
      onKeyDown={onKeyDown}
      onKeyUp={(event) => held.current.delete(event.key)}
      onBlur={() => held.current.clear()}
    >
      <PatternCanvas pattern={pattern} size={size} label={label} />
      {active ? <Cross cell={active} n={pattern.n} size={size} place={place} locked={locked !== null} /> : null}
      <span class="visually-hidden" aria-live="polite">
        {describe}
      </span>
    </div>
  );
}

interface CrossProps {
  cell: Cell;
  /** Number of tokens. */
  n: number;
  /** Side of the picture in CSS pixels. */
  size: number;
  place: Frame;
  locked: boolean;
}

/** The row and the column of a cell, drawn over a pattern. */
export function Cross({ cell, n, size, place, locked }: CrossProps) {
  const step = place.side / n;
  const column = columnAt(cell.key, place, n);
  const top = cell.key * step;
  const y = cell.query * step;
  const height = Math.max(step, 3);
  const width = Math.max(column.width, 3);
  return (
    <svg class="pattern-matrix-cross" viewBox={`0 0 ${size} ${size}`} width={size} height={size} data-locked={locked} aria-hidden="true">
      <rect class="band" x={0} y={y} width={place.left + (cell.query + 1) * step} height={Math.max(step, 1)} />
      <rect class="band" x={column.x} y={top} width={Math.max(column.width, 1)} height={place.side - top} />
      <rect class="cell" x={column.x - (width - column.width) / 2} y={y - (height - step) / 2} width={width} height={height} />
    </svg>
  );
}
