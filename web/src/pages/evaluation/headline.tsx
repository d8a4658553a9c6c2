import type { Evaluation, EvaluationCell, EvaluationLine } from "../../contract/generated";
import { Term } from "../../views/help/view";
import { signed, STATISTICS } from "./rows";

const FEW = 0.5;

/** The answer in sentences, and the table that fits on a screen. */
export function Headline({ evaluation }: { evaluation: Evaluation }) {
  const { answer, headline, missing, tags } = evaluation;
  const columns = Object.keys(headline[0]?.cells ?? {});
  const [lead, rest] = leading(answer);
  const why = reason(headline, evaluation.reference);
  const weak = tags.filter((tag) => tag.jaccard !== null && tag.jaccard < FEW);
  return (
    <section class="evaluation-headline">
      {lead === null ? null : (
        <p class="evaluation-lead">
          <bdi>{lead.replaceAll("`", "")}</bdi>
        </p>
      )}
      {why === "" ? null : (
        <p>
          <bdi>{why}</bdi>
        </p>
      )}
      {columns.length === 0 ? null : (
        <div class="table-wide">
          <table>
            <caption>
              Means over behaviours and models. <Term help={STATISTICS["S5"] ?? ""}>S5</Term>: near heads agree in
              degree. <Term help={STATISTICS["MAP"] ?? ""}>MAP</Term>: the top 5 % of heads find each other.
              Gains of {evaluation.reference} with 95 % intervals.
            </caption>
            <thead>
              <tr>
                <th scope="col">Metric</th>
                {columns.map((column) => (
                  <th scope="col" key={column}>
                    {column}
                    <div class="muted">S5 · MAP</div>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {headline.map((line) => (
                <tr key={line.name} class={line.is_metric ? undefined : "muted"}>
                  <th scope="row">
                    <bdi>{line.name}</bdi>
                  </th>
                  {columns.map((column) => (
                    <td key={column}>
                      <Cell cell={line.cells[column]} />
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {rest.length === 0 ? null : (
        <details class="panel evaluation-reading">
          <summary>How sure this is, and what does not work</summary>
          <ul>
            {rest.map((sentence) => (
              <li key={sentence}>
                <bdi>{sentence.replaceAll("`", "")}</bdi>
              </li>
            ))}
          </ul>
        </details>
      )}
      {missing.map((text) => (
        <p key={text} role="note">
          Missing: <bdi>{text.replaceAll("`", "")}</bdi>
        </p>
      ))}
      {weak.length === 0 ? null : (
        <p role="note">
          Tags that do not reproduce themselves on other random tokens (overlap of the two classes):{" "}
          {weak.map((tag) => `${tag.name} in ${tag.model} ${tag.jaccard?.toFixed(2)}`).join(", ")}.
        </p>
      )}
    </section>
  );
}

/** Return the sentence that names the metric to use, and the others; null if none does. */
export function leading(answer: readonly string[]): [string | null, string[]] {
  const lead = answer.find((sentence) => sentence.startsWith("Use ")) ?? null;
  return [lead, answer.filter((sentence) => sentence !== lead)];
}

/**
 * Return in words why a metric is the one to use: how far the heads of one behaviour find each other, by it,
 * by the other metrics and by the layers alone. Empty without its numbers.
 */
export function reason(headline: readonly EvaluationLine[], metric: string): string {
  const mean = (line: EvaluationLine) => {
    const values = Object.values(line.cells).flatMap(({ map }) => (map === null ? [] : [map]));
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  const named = headline.flatMap((line) => {
    const value = mean(line);
    return value === null ? [] : [{ name: line.name, isMetric: line.is_metric, value }];
  });
  const best = named.find((line) => line.isMetric && line.name === metric);
  if (!best) return "";
  const others = named.filter((line) => line.isMetric && line !== best).sort((a, b) => b.value - a.value);
  const layers = named.find((line) => line.name === "layers alone");
  const compared = [...others.map((line) => `${figure(line.value)} by ${line.name}`), ...(layers ? [`${figure(layers.value)} by the layers alone`] : [])];
  const against = compared.length === 0 ? "" : `, compared with ${compared.join(", ")}`;
  return `Why: heads that do the same find each other with a mean average precision of ${figure(best.value)} by ${metric} (1 is best)${against}.`;
}

function Cell({ cell }: { cell: EvaluationCell | undefined }) {
  if (cell === undefined) return <>–</>;
  return (
    <>
      {figure(cell.s5)} · {figure(cell.map)}
      {cell.s5_gain === null && cell.map_gain === null ? null : (
        <div class="muted evaluation-gain">
          {gain(cell.s5_gain)} · {gain(cell.map_gain)}
        </div>
      )}
    </>
  );
}

function figure(value: number | null): string {
  return value === null ? "–" : value.toFixed(2).replace(/^-/, "−");
}

function gain(values: readonly number[] | null): string {
  const [value, low, high] = values ?? [];
  if (value === undefined || low === undefined || high === undefined) return "–";
  return `${signed(value)} (${signed(low)} to ${signed(high)})`;
}
