import "./view.css";
import { useState } from "preact/hooks";
import type { TableColumn, TableProps } from "./api";
import { arrange, nextSort } from "./order";

/** A table whose headings are buttons that sort. */
export function Table<Row>(props: TableProps<Row>) {
  const { rows, columns, rowKey, label, sort, onSort, filter = "", onFilter, selected } = props;
  const step = props.most ?? 200;
  const [most, setMost] = useState(step);
  const arranged = arrange(rows, columns, sort, filter);
  const shown = arranged.slice(0, most);
  return (
    <div class="table">
      {onFilter ? (
        <div class="table-filter" data-export="no">
          <input
            type="search"
            aria-label={`Filter ${label}`}
            placeholder="Filter"
            value={filter}
            onInput={(event) => onFilter(event.currentTarget.value)}
          />
          <span class="muted" role="status">
            {arranged.length === rows.length
              ? `${rows.length}`
              : `${arranged.length} of ${rows.length}`}
          </span>
        </div>
      ) : null}
      {/* Focusable so that the keyboard can scroll it. */}
      <div class="table-scroll" tabIndex={0} role="region" aria-label={label}>
        <table>
          <thead>
            <tr>
              {columns.map((column) => (
                <Heading key={column.name} column={column} sort={sort} onSort={onSort} />
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <tr key={rowKey(row)} aria-selected={selected ? selected(row) : undefined}>
                {columns.map((column) => (
                  <td key={column.name} class={column.numeric ? "number" : undefined}>
                    {column.cell ? column.cell(row) : (column.value(row) ?? "–")}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {arranged.length > most ? (
        <button type="button" onClick={() => setMost(most + step)}>
          Show {Math.min(step, arranged.length - most)} more of {arranged.length}
        </button>
      ) : null}
    </div>
  );
}

function Heading<Row>(props: {
  column: TableColumn<Row>;
  sort: string;
  onSort: (sort: string) => void;
}) {
  const { column, sort, onSort } = props;
  const up = sort === column.name;
  const down = sort === `-${column.name}`;
  return (
    <th
      scope="col"
      class={column.numeric ? "number" : undefined}
      aria-sort={up ? "ascending" : down ? "descending" : "none"}
    >
      <button type="button" data-help={column.help} onClick={() => onSort(nextSort(sort, column))}>
        {column.title}
        <span aria-hidden="true">{up ? " ▲" : down ? " ▼" : ""}</span>
      </button>
    </th>
  );
}
