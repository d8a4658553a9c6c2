import type { Prompt } from "../../contract/generated";

/** Filters of prompts by their labels: one list of values per label. */
export interface LabelFilterProps {
  /** Prompts that can be shown, whatever the filter. */
  prompts: readonly Prompt[];
  /** Chosen labels, `genre=law` each. */
  where: readonly string[];
  onChange: (where: string[]) => void;
}
