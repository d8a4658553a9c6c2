import type { View, ViewNote } from "../contract/viewer";

interface Props {
  view: View;
  note: ViewNote | null;
  onPick: (layer: number, head: number) => void;
}

/** What the atlas says about a head: its verdict, and the heads most similar to it. */
export function Note({ view, note, onPick }: Props) {
  if (!note) return null;
  const probability = note.probability === null ? "" : ` (probability ${note.probability.toFixed(2)})`;
  return (
    <section class="viewer-note" aria-label="What the atlas says">
      {note.verdict ? (
        <p>
          <strong>{note.verdict}</strong>
          {probability}
          {note.sentence ? <> · {note.sentence}</> : null}
        </p>
      ) : null}
      {note.near.length > 0 ? (
        <p>
          <span class="muted">Nearest heads by {view.metric}: </span>
          {note.near.map((item) => (
            <span class="viewer-near" key={item.head}>
              <Near view={view} head={item.head} onPick={onPick} /> <span class="muted">{item.distance.toPrecision(3)}</span>
            </span>
          ))}
        </p>
      ) : null}
    </section>
  );
}

/** A head: a button if its pattern is in this view. */
function Near({ view, head, onPick }: { view: View; head: string; onPick: Props["onPick"] }) {
  const match = /^(.*):L(\d+):H(\d+)$/.exec(head);
  if (!match || match[1] !== view.model) return <bdi>{head}</bdi>;
  const [layer, index] = [Number(match[2]), Number(match[3])];
  const isShown = view.layers.some((item) => item.layer === layer && index < item.n_heads);
  if (!isShown) return <bdi>{head}</bdi>;
  return (
    <button type="button" class="viewer-near-head" onClick={() => onPick(layer, index)}>
      L{layer}:H{index}
    </button>
  );
}
