import type { Manifest } from "../../contract/generated";
import { headName } from "../../data/heads";
import { loadPattern } from "../../data/patterns";
import { useResource } from "../../state/resource";
import { HeadLink } from "../../views/head-link/view";
import { PatternCell } from "../../views/pattern-cell/view";
import { Loaded } from "../../views/states/view";
import { loadNearestPatterns } from "./nearest";

interface Props {
  manifest: Manifest;
  row: number;
  prompt: number;
  promptId: string;
}

/** The nearest patterns on the same prompt, in the embedding. */
export function Neighbours({ manifest, row, prompt, promptId }: Props) {
  const loaded = useResource(() => loadNearestPatterns(manifest, row, prompt), [manifest, row, prompt]);
  return (
    <section>
      <h2>Nearest patterns on this prompt</h2>
      <p class="muted">By Euclidean distance in the pattern embedding, all heads of all models.</p>
      <Loaded resource={loaded} what="the embedding" height={180}>
        {(nearest) => (
          <div class="pattern-neighbours">
            {nearest.map(({ head: other, distance }) => (
              <figure key={other}>
                <PatternCell
                  head={headName(manifest, other)}
                  row={other}
                  prompt={prompt}
                  promptId={promptId}
                  size={120}
                  load={(head, on) => loadPattern(manifest, head, on)}
                />
                <figcaption>
                  <HeadLink head={headName(manifest, other)} />
                  <span class="muted">{distance.toPrecision(3)}</span>
                </figcaption>
              </figure>
            ))}
          </div>
        )}
      </Loaded>
    </section>
  );
}
