import { useRef, useState } from "preact/hooks";
import type { Prompt } from "../../contract/generated";
import { loadPattern } from "../../data/patterns";
import { choiceTitle, promptsById, shortId } from "../../data/prompts";
import { heads as headsParam, prompt as promptParam, where } from "../../state/params";
import { change, link } from "../../state/url";
import { Select } from "../../views/controls/view";
import { csv } from "../../views/export-menu/csv";
import { ExportMenu } from "../../views/export-menu/view";
import { LabelFilter } from "../../views/label-filter/view";
import { HeadLink } from "../../views/head-link/view";
import { PatternCell } from "../../views/pattern-cell/view";
import { PatternStyleControls } from "../../views/pattern-style/view";
import { promptLine } from "../../views/prompt-label/view";
import type { View } from "./model";
import { picked } from "./params";

/** Patterns shown at first, and most heads in the link to Compare. */
const MOST = 24;
const SIZE = 112;

interface Props {
  view: View;
  rows: readonly number[];
  prompts: readonly Prompt[];
  viewable: readonly number[];
}

/** The selected heads with their patterns on one prompt. */
export function Selected({ view, rows, prompts, viewable }: Props) {
  const target = useRef<HTMLElement>(null);
  const [most, setMost] = useState(MOST);
  const { manifest, names, cut } = view;
  if (rows.length === 0) return null;
  const asked = promptsById([...prompts], promptParam.value ? [promptParam.value] : []);
  const place = asked.find((item) => viewable.includes(item)) ?? viewable[0];
  const prompt = place === undefined ? undefined : prompts[place];
  const shown = rows.slice(0, most);
  const filter = (
    <LabelFilter prompts={prompts.filter((item) => item.viewable)} where={where.value} onChange={where.set} />
  );
  return (
    <section ref={target} aria-label="Selected heads">
      <div class="toolbar cluster-heading">
        <h2>
          {rows.length} selected {rows.length === 1 ? "head" : "heads"}
        </h2>
        <button type="button" onClick={() => change([headsParam.to([]), picked.to([])])}>
          Clear
        </button>
        <a class="button" data-export="no" href={link("compare", headsParam.to(rows.slice(0, MOST).map((row) => names[row] as string)))}>
          {rows.length > MOST ? `Compare the first ${MOST}` : "Compare"}
        </a>
        <ExportMenu target={() => target.current} name="selected heads" data={selectionData(view, rows)} />
      </div>
      {prompt && place !== undefined ? (
        <>
          <div class="toolbar cluster-heading" data-export="no">
            <Select
              label="Prompt"
              value={shortId(prompt)}
              options={viewable.flatMap((place) => {
                const known = prompts[place];
                return known ? [{ value: shortId(known), title: choiceTitle(known, promptLine(known.text, 60)) }] : [];
              })}
              onChange={(value) => promptParam.set(value)}
            />
            {filter}
            <PatternStyleControls />
          </div>
          <ul class="cluster-patterns">
            {shown.map((row) => (
              <li key={row}>
                <PatternCell
                  head={names[row] as string}
                  row={row}
                  prompt={place}
                  promptId={shortId(prompt)}
                  size={SIZE}
                  load={(head, on) => loadPattern(manifest, head, on)}
                  border={view.colour(cut.labels[row] as number)}
                />
                <HeadLink head={names[row] as string} />
              </li>
            ))}
          </ul>
        </>
      ) : (
        <>
          {filter}
          {where.value.length > 0 ? null : (
            <p class="muted">{manifest.missing["patterns"] ?? "This site holds no patterns."}</p>
          )}
        </>
      )}
      {rows.length > most ? (
        <button type="button" onClick={() => setMost(most + MOST)}>
          Show {Math.min(MOST, rows.length - most)} more
        </button>
      ) : null}
    </section>
  );
}

/** The selection as CSV and JSON. */
function selectionData({ names, heads, cut, manifest, classes, title }: View, rows: readonly number[]) {
  const entries = rows.map((row) => {
    const cluster = cut.labels[row] as number;
    return {
      head: names[row] as string,
      model: manifest.models[heads.model[row] as number]?.name ?? "",
      layer: heads.layer[row] as number,
      index: heads.index[row] as number,
      depth: Number((heads.depth[row] as number).toFixed(4)),
      cluster,
      cluster_name: title(cluster),
      classes: classes.filter((headClass) => headClass.rows.includes(row)).map((item) => item.name),
    };
  });
  const titles = ["head", "model", "layer", "index", "depth", "cluster", "cluster_name", "classes"] as const;
  return [
    {
      title: "CSV",
      extension: "csv",
      type: "text/csv",
      make: () =>
        csv(
          titles,
          entries.map((entry) => titles.map((name) => (name === "classes" ? entry.classes.join("; ") : entry[name]))),
        ),
    },
    {
      title: "JSON",
      extension: "json",
      type: "application/json",
      make: () => `${JSON.stringify(entries, null, 2)}\n`,
    },
  ];
}
