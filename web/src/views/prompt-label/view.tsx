import "./view.css";
import { useId, useState } from "preact/hooks";
import { isProbe } from "../../data/prompts";
import type { PromptLabelProps } from "./api";

type Place = { left: string; top: string };

/** Characters of the text in the card. */
const CARD = 500;

/** The beginning of a prompt, with a card that shows more of it. */
export function PromptLabel({ prompt, length = 60 }: PromptLabelProps) {
  const [place, setPlace] = useState<Place | null>(null);
  const id = useId();
  const open = (event: { currentTarget: Element }) => setPlace(cardPlace(event.currentTarget));
  const close = () => setPlace(null);
  const line = promptLine(prompt.text, length);
  return (
    <span
      class="prompt-label"
      tabIndex={0}
      aria-describedby={place ? id : undefined}
      onPointerEnter={open}
      onPointerLeave={close}
      onFocus={open}
      onBlur={close}
      onKeyDown={(event) => {
        if (event.key === "Escape") close();
      }}
    >
      {isProbe(prompt) ? <span class="prompt-group">probes</span> : null}
      <bdi>{line}</bdi>
      {place ? (
        <span class="prompt-card" id={id} role="tooltip" data-export="no" style={place}>
          <bdi class="prompt-card-text">
            {prompt.text.slice(0, CARD)}
            {prompt.text.length > CARD || prompt.cut ? "…" : ""}
          </bdi>
          <span class="muted">
            {prompt.source} · {prompt.id}
          </span>
        </span>
      ) : null}
    </span>
  );
}

/** Return the position below a label, within the window. It is fixed, so that no scroll box clips it. */
function cardPlace(label: Element): Place {
  const box = label.getBoundingClientRect();
  const width = Math.min(360, 0.8 * window.innerWidth);
  const left = Math.max(8, Math.min(box.left, window.innerWidth - width - 24));
  return { left: `${left}px`, top: `${box.bottom + 2}px` };
}

/** Return a text on one line, cut to a length. */
export function promptLine(text: string, length: number): string {
  const line = text.slice(0, 4 * length).replace(/\s+/g, " ").trim();
  return line.length > length ? `${line.slice(0, length)}…` : line;
}
