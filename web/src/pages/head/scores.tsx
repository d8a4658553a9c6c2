import type { Manifest } from "../../contract/generated";
import { composed } from "../../data/composed";
import { loadHeads } from "../../data/heads";
import { useResource } from "../../state/resource";
import { Strip } from "../../views/own-value/strip";
import { percentileOf } from "../../views/own-value/bins";
import { Empty, Loaded } from "../../views/states/view";

/** Behaviour scores of a head, in the distribution of all heads. */
export function Scores({ manifest, row }: { manifest: Manifest; row: number }) {
  const heads = useResource(() => loadHeads(manifest), [manifest]);
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
      <Loaded resource={heads} what="the scores" height={200}>
        {(table) => (
          <dl class="head-scores">
            {manifest.scores.map((score) => {
              const values = table.column(score.name)?.values ?? [];
              const value = values[row] ?? Number.NaN;
              const spread = table.column(`${score.name} spread`)?.values[row] ?? 0;
              const over = score.threshold !== null && value >= score.threshold;
              const figures = Number.isFinite(value) ? `${value.toFixed(2)} ± ${spread.toFixed(2)}` : "–";
              return (
                <div key={score.name} title={score.meaning}>
                  <dt>
                    {score.name}
                    {over ? <span class="head-over"> high</span> : null}
                  </dt>
                  <dd>
                    <Strip
                      values={values}
                      marked={value}
                      spread={spread}
                      threshold={score.threshold}
                      low={0}
                      label={composed`${score.name}: ${figures}, above ${percentileOf(values, value).toFixed(0)} % of the heads`}
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
