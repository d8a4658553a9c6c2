import { useEffect, useState } from "preact/hooks";
import type { Manifest } from "../../contract/generated";
import { labelText, loadLabels } from "../../data/explanations";
import { headName } from "../../data/heads";
import { loadPattern } from "../../data/patterns";
import { ofPoint } from "../../data/points";
import { shortId, viewablePrompts } from "../../data/prompts";
import { head as headParam, prompt as promptParam } from "../../state/params";
import { useResource } from "../../state/resource";
import { link } from "../../state/url";
import { ClassTag } from "../../views/class-tag/view";
import { HeadLink } from "../../views/head-link/view";
import { PromptLabel } from "../../views/prompt-label/view";
import { PatternCanvas } from "../../views/pattern-canvas/view";
import { Failed } from "../../views/states/view";
import { loadNearestPatterns } from "../pattern/nearest";
import type { Base } from "./base";
import "./points.css";
import { composed } from "../../data/composed";

interface PreviewProps {
  manifest: Manifest;
  base: Base;
  /** The colour in words: "layer 5". */
  colourText: string;
}

/** Return the link to a pattern. */
export function patternLink(manifest: Manifest, base: Base, row: number, prompt: number): string {
  const id = base.prompts[prompt] ? shortId(base.prompts[prompt]) : "";
  return link("pattern", headParam.to(headName(manifest, row)), promptParam.to(id));
}

/** The value once it has not changed for a moment, so that points passed quickly are not loaded. */
function useSettled<T>(value: T, milliseconds: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}

/** The preview of a pattern. */
export function PatternPreview({ manifest, base, colourText, point }: PreviewProps & { point: number }) {
  const { head, prompt } = ofPoint(manifest, point);
  const name = headName(manifest, head);
  const on = base.prompts[prompt];
  return (
    <div class="points-preview">
      <strong>
        <HeadLink head={name} />
      </strong>
      {on ? (
        <div>
          <PromptLabel prompt={on} length={44} />
        </div>
      ) : null}
      <div class="muted">{colourText}</div>
      {on?.viewable ? (
        <a href={patternLink(manifest, base, head, prompt)} aria-label={composed`Open the pattern of ${name}`}>
          <Picture manifest={manifest} head={head} prompt={prompt} size={200} />
        </a>
      ) : (
        <>
          <Nearest manifest={manifest} row={head} prompt={prompt} />
          <div>
            <a href={patternLink(manifest, base, head, prompt)}>Features, nearest patterns and text</a>
          </div>
          <div class="muted">This pattern is not stored. The head on other prompts:</div>
          <Pictures manifest={manifest} base={base} row={head} most={3} />
        </>
      )}
    </div>
  );
}

/** The heads with the nearest patterns on the same prompt. */
function Nearest({ manifest, row, prompt }: { manifest: Manifest; row: number; prompt: number }) {
  const settled = useSettled(`${row} ${prompt}`, 90);
  const loaded = useResource(async () => {
    const [head, on] = settled.split(" ").map(Number) as [number, number];
    const [nearest, labels] = await Promise.all([loadNearestPatterns(manifest, head, on), loadLabels(manifest)]);
    return { settled, lines: nearest.slice(0, 3).map(({ head: near }) => [headName(manifest, near), labelText(manifest, labels, near)]) };
  }, [settled]);
  if (loaded.status === "failed") return <Failed error={loaded.error} />;
  const lines = loaded.value?.settled === `${row} ${prompt}` ? loaded.value.lines : [];
  return (
    <div>
      Nearest patterns on this prompt:
      {lines.map(([name, label]) => (
        <div key={name}>
          {name} <span class="muted">{label}</span>
        </div>
      ))}
    </div>
  );
}

/** The preview of a head: classes and some patterns. */
export function HeadPreview({ manifest, base, colourText, row }: PreviewProps & { row: number }) {
  const classes = base.byHead.get(row) ?? [];
  const labels = useResource(() => loadLabels(manifest), [manifest]);
  return (
    <div class="points-preview">
      <strong>
        <HeadLink head={headName(manifest, row)} />
      </strong>
      <div>{labels.value ? labelText(manifest, labels.value, row) : ""}</div>
      <div class="points-preview-tags">
        {classes.map((headClass) => (
          <ClassTag key={headClass.class.name} class={headClass.class} tags={headClass.tags} />
        ))}
      </div>
      <div class="muted">{colourText}</div>
      <Pictures manifest={manifest} base={base} row={row} most={4} />
    </div>
  );
}

/** Patterns of a head on the first viewable prompts. */
function Pictures({ manifest, base, row, most }: { manifest: Manifest; base: Base; row: number; most: number }) {
  return (
    <div class="points-preview-patterns">
      {viewablePrompts(base.prompts)
        .slice(0, most)
        .map((prompt) => (
          <a key={prompt} href={patternLink(manifest, base, row, prompt)} aria-label={`Open the pattern on prompt ${prompt + 1}`}>
            <Picture manifest={manifest} head={row} prompt={prompt} size={72} />
          </a>
        ))}
    </div>
  );
}

function Picture({ manifest, head, prompt, size }: { manifest: Manifest; head: number; prompt: number; size: number }) {
  const settled = useSettled(`${head} ${prompt}`, 90);
  const pattern = useResource(async () => {
    const [row, on] = settled.split(" ").map(Number) as [number, number];
    return loadPattern(manifest, row, on);
  }, [settled]);
  if (pattern.status === "failed") return <Failed error={pattern.error} />;
  const value = pattern.value;
  if (!value || value.head !== head || value.prompt !== prompt) {
    return <span class="points-preview-wait" style={{ width: `${size}px`, height: `${size}px` }} />;
  }
  return <PatternCanvas pattern={value} size={size} label={`attention of ${headName(manifest, head)}`} />;
}
