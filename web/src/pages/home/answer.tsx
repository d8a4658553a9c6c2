import type { ComponentChildren } from "preact";
import type { Manifest } from "../../contract/generated";
import { composed } from "../../data/composed";
import { loadExplanation, type Labels } from "../../data/explanations";
import { headName, headRow } from "../../data/heads";
import { head } from "../../state/params";
import { useResource } from "../../state/resource";
import { Fix, Loaded } from "../../views/states/view";
import { reason } from "../head/unknown";
import { MotifShares, ProbableClasses } from "../head/verdict";
import { verdictLine, verdictSentence } from "../head/verdict-words";

interface Props {
  manifest: Manifest;
  row: number;
}

/** The name of the head and its verdict; a name that is not in the atlas is reported. */
export function Answer({ manifest, labels, row, children }: Props & { labels: Labels; children: ComponentChildren }) {
  const loaded = useResource(() => loadExplanation(manifest, row), [manifest, row]);
  const isUnknown = head.value !== "" && headRow(manifest, head.value) === null;
  return (
    <header class="bench-answer">
      <h1>{headName(manifest, row)}</h1>
      {isUnknown ? <p role="status">{composed`${head.value} is not in this atlas. ${reason(manifest, head.value)} Shown instead: ${headName(manifest, row)}.`}</p> : null}
      <Loaded resource={loaded} what="the verdict" height={44}>
        {(found) =>
          found ? (
            <>
              <p class="verdict-name">{verdictLine(found)}</p>
              <p>{verdictSentence(manifest, found, labels, row)}</p>
            </>
          ) : (
            <p class="muted">
              No verdict: <Fix text={manifest.missing["explanations"] ?? ""} />
            </p>
          )
        }
      </Loaded>
      <nav class="toolbar bench-links" aria-label="This head">
        {children}
      </nav>
    </header>
  );
}

/** What the attention of the head is made of, and its probable classes. */
export function Evidence({ manifest, row }: Props) {
  const loaded = useResource(() => loadExplanation(manifest, row), [manifest, row]);
  return (
    <Loaded resource={loaded} what="the evidence" height={200}>
      {(found) =>
        found ? (
          <>
            <h2>What its attention is made of</h2>
            <MotifShares manifest={manifest} row={row} found={found} />
            <ProbableClasses found={found} />
          </>
        ) : null
      }
    </Loaded>
  );
}
