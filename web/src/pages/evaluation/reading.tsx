import { STATISTICS } from "./rows";

/** How to read the table. */
export function Reading() {
  return (
    <details class="evaluation-reading panel">
      <summary>How to read this</summary>
      <p>
        Each row tests one question about a metric: are heads with the same function near each other? Heads of
        one class are often in a few layers, and heads of neighbouring layers have similar patterns anyway. The
        null therefore draws random heads <em>from the same layers</em>, 1,000 times by default, and scores them
        in the same way.
      </p>
      <ol>
        <li>
          Compare the value (dot) with the mean of the null (grey tick), not with 0.5 or 0. The grey band
          ends at the 95 % point of the draws. The difference is what the metric adds to the layers.
        </li>
        <li>
          Read MAP and AUROC together. A high AUROC with a low MAP means that heads of the class are in the
          nearer half of all heads, but that other heads are nearest.
        </li>
        <li>
          A filled dot has q ≤ 0.05: about 5 % of such rows are expected by chance. q is p corrected
          after Benjamini and Hochberg (1995) over all rows of the metric with the same statistic.
        </li>
        <li>
          A star marks a class that is too small for a p below 0.05 (column p floor). This is not a failure of
          the metric.
        </li>
        <li>
          <code>A -&gt; B</code> takes heads of A as queries and ranks the heads of B. If it fails where both models
          succeed on their own, the two models are far apart in the embedding.
        </li>
        <li>
          Compare metrics on the same atlas only. Every class is listed; those with too few heads have counts and
          no values.
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
