import "./view.css";
import { useRef } from "preact/hooks";
import { head as headParam, prompt as promptParam } from "../../state/params";
import { useResource } from "../../state/resource";
import { link } from "../../state/url";
import { useNear } from "../near/view";
import { PatternCanvas } from "../pattern-canvas/view";
import type { PatternCellProps } from "./api";

/** Pixels before the edge of the screen at which a pattern is loaded. */
const AHEAD = 400;

/** A pattern as a link; what is far from the screen holds no canvas. */
export function PatternCell(props: PatternCellProps) {
  const { head, row, prompt, promptId, size, load, border } = props;
  const place = useRef<HTMLAnchorElement>(null);
  const near = useNear(place, AHEAD);
  const frame = border === undefined ? {} : { outline: `3px solid ${border}` };
  return (
    <a
      ref={place}
      class="pattern-cell"
      href={link("pattern", headParam.to(head), promptParam.to(promptId))}
      aria-label={`Pattern of ${head} on prompt ${promptId}`}
      style={{ width: `${size}px`, height: `${size}px`, ...frame }}
    >
      {near ? <Content row={row} prompt={prompt} size={size} load={load} head={head} /> : null}
    </a>
  );
}

function Content(props: Pick<PatternCellProps, "row" | "prompt" | "size" | "load" | "head">) {
  const { row, prompt, size, load, head } = props;
  const pattern = useResource(() => load(row, prompt), [row, prompt]);
  if (pattern.status === "failed") {
    return (
      <span class="pattern-cell-failed" title={pattern.error.message}>
        not there
      </span>
    );
  }
  if (pattern.status === "loading") return <span data-waiting="true" />;
  return <PatternCanvas pattern={pattern.value} size={size} label={`Attention of ${head}`} />;
}
