import { STATISTICS } from "./rows";

/** How the table is to be read. */
export function Reading() {
  return (
    <details class="evaluation-reading panel">
      <summary>How to read this</summary>
      <p>
        Each row asks one thing of a metric: whether heads that do the same thing lie near one another.
        Heads of a kind crowd in a few layers, and neighbouring layers look alike whatever they do. So
        the null draws heads at random <em>from the same layers</em> (1,000 times by default)
        and scores them in the same way.
      </p>
      <ol>
        <li>
          Compare the value (dot) with the mean of the null (grey tick), not with 0.5 or 0. The grey band
          ends where 95 % of the draws end. The difference is what the metric knows beyond the layers.
        </li>
        <li>
          Read MAP and AUROC together. A high AUROC with a low MAP means class mates in the right half
          of the model, but strangers at the top of the list.
        </li>
        <li>
          A filled dot has q ≤ 0.05: of such rows about 5 % are expected to be chance. q is p corrected
          after Benjamini and Hochberg (1995) over all rows of the metric with the same statistic.
        </li>
        <li>
          A star marks a class so small that no p below 0.05 can be expected (the column p floor). That
          is no failure of the metric.
        </li>
        <li>
          <code>A -&gt; B</code> asks with heads of A and ranks heads of B. If it fails where both models
          succeed alone, the models lie apart in the embedding.
        </li>
        <li>
          Compare metrics on the same atlas only. Nothing is left out because it scores badly: classes
          with too few heads are listed with their counts.
        </li>
      </ol>
      <dl class="evaluation-statistics">
        {Object.entries(STATISTICS).map(([name, meaning]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
