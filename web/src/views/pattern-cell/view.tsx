import "./view.css";
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { composed } from "../../data/composed";
import { head as headParam, prompt as promptParam } from "../../state/params";
import { useResource } from "../../state/resource";
import { link } from "../../state/url";
import { useNear } from "../near/view";
import { PatternCanvas } from "../pattern-canvas/view";
import type { PatternCellProps } from "./api";

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
  const { row, prompt, size, load, head } = props;
  const pattern = useResource(() => load(row, prompt), [row, prompt]);
  if (pattern.status === "failed") {
    return (
      <button type="button" class="pattern-cell-failed" title={pattern.error.message} onClick={pattern.retry}>
        Not loaded. Try again
      </button>
    );
  }
  return (
    <Link {...props}>
      {pattern.status === "loading" ? (
        <span data-waiting="true" />
      ) : (
        <PatternCanvas pattern={pattern.value} size={size} label={composed`Attention of ${head}`} />
      )}
    </Link>
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
