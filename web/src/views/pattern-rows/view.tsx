import "./view.css";
import { shortId } from "../../data/prompts";
import { PatternCell } from "../pattern-cell/view";
import { PromptLabel } from "../prompt-label/view";
import { PatternWeightBar } from "../weight-bar/view";
import type { PatternRowsProps, RowGroup, RowHead } from "./api";

/** A table of patterns. On narrow screens, the name of a head is above its patterns. */
export function PatternRows<T extends RowHead>(props: PatternRowsProps<T>) {
  const { groups, prompts, size } = props;
  return (
    <div class="pattern-rows" role="table" aria-label="Patterns: a row per head, a column per prompt" style={{ "--columns": prompts.length }}>
      <div class="pattern-rows-line pattern-rows-prompts" role="row">
        <span class="pattern-rows-info muted" role="columnheader">
          Prompts
        </span>
        {prompts.map(({ place, prompt }) => (
          <div key={place} role="columnheader" style={{ width: `${size}px` }}>
            <PromptLabel prompt={prompt} length={70} />
          </div>
        ))}
      </div>
      {groups.map((group) => (
        <Group key={group.key} {...props} group={group} />
      ))}
      {prompts.length === 0 ? null : <PatternWeightBar />}
    </div>
  );
}

function Group<T extends RowHead>(props: PatternRowsProps<T> & { group: RowGroup<T> }) {
  const { group, prompts, size, load, info, cursor, onRow, marked } = props;
  if (group.heads.length === 0 && group.empty === undefined) return null;
  return (
    <div role="rowgroup">
      {group.title === "" ? null : (
        <div role="row" class="pattern-rows-heading">
          <div role="rowheader">
            <h2>
              {group.title}
              {group.help ? <span class="muted"> {group.help}</span> : null}
            </h2>
          </div>
        </div>
      )}
      {group.heads.length === 0 ? <p class="muted">{group.empty}</p> : null}
      {group.heads.map((item) => (
        <div
          class="pattern-rows-line"
          role="row"
          key={item.row}
          data-marked={marked === item.row}
          onPointerEnter={() => onRow?.(item.row)}
          onPointerLeave={() => onRow?.(null)}
        >
          <div class="pattern-rows-info" role="rowheader">
            {info(item, group)}
          </div>
          {prompts.map(({ place, prompt }) => (
            <div role="cell" key={place}>
              <PatternCell
                head={item.head}
                row={item.row}
                prompt={place}
                promptId={shortId(prompt)}
                size={size}
                load={load}
                {...(cursor ? { cursor } : {})}
              />
            </div>
          ))}
        </div>
      ))}
    </div>
  );
}
