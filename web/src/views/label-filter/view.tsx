import { hasLabels, isProbe, labelCounts, labelText } from "../../data/prompts";
import { Many } from "../controls/view";
import type { LabelFilterProps } from "./api";

/** Most values of a label that can be chosen from: more of them are names of single prompts. */
const MOST = 100;

/** A list of values for each label of the prompts; nothing where all prompts have the same labels. */
export function LabelFilter({ prompts, where, onChange }: LabelFilterProps) {
  const labelled = prompts.filter((prompt) => !isProbe(prompt));
  const shown = labelCounts(labelled).filter(
    ({ key, values }) =>
      (values.length > 1 && values.length <= MOST) || where.some((item) => item.startsWith(`${key}=`)),
  );
  if (shown.length === 0 && where.length === 0) return null;
  const nMatching = labelled.filter((prompt) => hasLabels(prompt, where)).length;
  return (
    <span class="toolbar" role="group" aria-label="Prompts with labels">
      {shown.map(({ key, values }) => (
        <Many
          key={key}
          label={key}
          values={where.filter((item) => item.startsWith(`${key}=`)).map((item) => item.slice(key.length + 1))}
          options={values.map(({ value, count }) => ({ value, title: value, count }))}
          onChange={(chosen) =>
            onChange([
              ...where.filter((item) => !item.startsWith(`${key}=`)),
              ...chosen.map((value) => labelText(key, value)),
            ])
          }
        />
      ))}
      {where.length === 0 ? null : (
        <>
          <span class="muted" role="status">
            {nMatching === 0 ? "No prompt here has these labels." : `${nMatching} of ${labelled.length} prompts`}
          </span>
          <button type="button" onClick={() => onChange([])}>
            All prompts
          </button>
        </>
      )}
    </span>
  );
}
