import type { Evaluation, EvaluationCell } from "../../contract/generated";
import { signed } from "./rows";

const FEW = 0.5;

/** The answer in sentences, and the table that fits on a screen. */
export function Headline({ evaluation }: { evaluation: Evaluation }) {
  const { answer, headline, missing, tags } = evaluation;
  const columns = Object.keys(headline[0]?.cells ?? {});
  const weak = tags.filter((tag) => tag.jaccard !== null && tag.jaccard < FEW);
  return (
    <section class="evaluation-headline">
      <ul>
        {answer.map((sentence) => (
          <li key={sentence}>
            <bdi>{sentence.replaceAll("`", "")}</bdi>
          </li>
        ))}
      </ul>
      {columns.length === 0 ? null : (
        <div class="table-wide">
          <table>
            <caption>
              Means over behaviours and models. S5: near heads agree in degree. MAP: the top 5 % of heads find each other.
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
