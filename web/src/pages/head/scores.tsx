import type { Manifest } from "../../contract/generated";
import { composed } from "../../data/composed";
import { loadScoresOfHead } from "../../data/scores";
import { useResource } from "../../state/resource";
import { Strip } from "../../views/own-value/strip";
import { Empty, Loaded } from "../../views/states/view";
import { capital, Term } from "../../views/help/view";

/** Behaviour scores of a head, in the distribution of all heads. */
export function Scores({ manifest, row }: { manifest: Manifest; row: number }) {
  const scores = useResource(() => loadScoresOfHead(manifest, row), [manifest, row]);
  if (manifest.scores.length === 0) {
    return (
      <section>
        <h2>Behaviour</h2>
        <Empty title="No scores">{manifest.missing["scores"]}</Empty>
      </section>
    );
  }
  return (
    <section>
      <h2>Behaviour</h2>
      <Loaded resource={scores} what="the scores" height={200}>
        {(all) => (
          <dl class="head-scores">
            {all.map(({ score, value, spread, percentile }) => {
              const over = score.threshold !== null && value >= score.threshold;
              const figures = Number.isFinite(value) ? `${value.toFixed(2)} ± ${(spread || 0).toFixed(2)}` : "–";
              return (
                <div key={score.name}>
                  <dt>
                    <Term help={`${capital(score.meaning)}.`}>{score.name}</Term>
                    {over ? <span class="head-over"> high</span> : null}
                  </dt>
                  <dd>
                    <Strip
                      counts={score.histogram}
                      marked={value}
                      spread={spread || 0}
                      threshold={score.threshold}
                      low={0}
                      high={score.high}
                      label={composed`${score.name}: ${figures}, above ${percentile.toFixed(0)} % of the heads`}
                      width={110}
                    />
                  </dd>
                  <dd class="number">{figures}</dd>
                </div>
              );
            })}
          </dl>
        )}
      </Loaded>
    </section>
  );
}
