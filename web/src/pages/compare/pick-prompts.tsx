import type { Manifest, Prompt } from "../../contract/generated";
import { shortId } from "../../data/prompts";
import { filter, prompts as promptsParam, sort, where } from "../../state/params";
import { LabelFilter } from "../../views/label-filter/view";
import { PromptLabel } from "../../views/prompt-label/view";
import type { TableColumn } from "../../views/table/api";
import { Table } from "../../views/table/view";

interface Props {
  manifest: Manifest;
  prompts: readonly Prompt[];
  viewable: readonly number[];
  chosen: readonly number[];
}

/** The prompts with patterns in the site, each with a checkbox. */
export function PickPrompts({ manifest, prompts, viewable, chosen }: Props) {
  const marked = new Set(chosen);
  const set = (places: Iterable<number>) =>
    promptsParam.set([...places].flatMap((place) => (prompts[place] ? [shortId(prompts[place])] : [])));
  const promptOf = (place: number) => prompts[place] as Prompt;
  const columns: TableColumn<number>[] = [
    {
      name: "shown",
      title: "Shown",
      numeric: true,
      value: (place) => (marked.has(place) ? 1 : 0),
      cell: (place) => (
        <input
          type="checkbox"
          aria-label={`Show prompt ${shortId(promptOf(place))}`}
          checked={marked.has(place)}
          onChange={() =>
            set(marked.has(place) ? chosen.filter((item) => item !== place) : [...chosen, place])
          }
        />
      ),
    },
    {
      name: "text",
      title: "Text",
      value: (place) => promptOf(place).text,
      cell: (place) => <PromptLabel prompt={promptOf(place)} length={110} />,
    },
    { name: "group", title: "Group", value: (place) => promptOf(place).group },
    { name: "source", title: "Source", value: (place) => promptOf(place).source },
    ...manifest.models.slice(0, 4).map(
      (model, at): TableColumn<number> => ({
        name: `tokens ${at}`,
        title: manifest.models.length === 1 ? "Tokens" : `Tokens, ${model.name}`,
        numeric: true,
        value: (place) => promptOf(place).n_tokens[at] ?? null,
      }),
    ),
    { name: "id", title: "Id", value: (place) => promptOf(place).id, cell: (place) => <code>{shortId(promptOf(place))}</code> },
  ];
  return (
    <div class="compare-prompts">
      <div class="toolbar">
        <button type="button" onClick={() => set(viewable)}>
          All {viewable.length}
        </button>
        <button type="button" onClick={() => set([])}>
          Only the first
        </button>
        <LabelFilter prompts={prompts.filter((prompt) => prompt.viewable)} where={where.value} onChange={where.set} />
      </div>
      <Table
        rows={viewable}
        columns={columns}
        rowKey={(place) => place}
        label="prompts"
        sort={sort.value}
        onSort={sort.set}
        filter={filter.value}
        onFilter={filter.replace}
        selected={(place) => marked.has(place)}
        most={50}
      />
    </div>
  );
}
