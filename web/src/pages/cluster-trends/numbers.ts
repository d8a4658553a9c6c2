// The numbers of the panels, as table and CSV.

import { csv } from "../../views/export-menu/csv";
import type { TableColumn } from "../../views/table/api";
import type { View } from "../clusters/model";
import type { Gathered } from "./gather";
import { by, over } from "./params";

/** Columns of the table and the CSV. */
export function columnsOf(view: View): TableColumn<Gathered["rows"][number]>[] {
  return [
    { name: "cluster", title: "Cluster", value: (row) => view.title(row.cluster) },
    { name: "group", title: over.value === "size" ? "Family" : by.value === "model" ? "Model" : "Family", value: (row) => row.group },
    { name: "where", title: over.value === "size" ? "Model" : over.value === "depth" ? "Depth" : "Rank", value: (row) => row.point.where },
    { name: "heads", title: "Heads", numeric: true, value: (row) => row.point.heads },
    { name: "of", title: "Of", numeric: true, value: (row) => row.point.of },
    {
      name: "share",
      title: "Share",
      numeric: true,
      value: (row) => Number(row.point.share.toFixed(4)),
      cell: (row) => `${(100 * row.point.share).toFixed(0)} %`,
    },
  ];
}

/** Return the numbers as CSV. */
export function table(view: View, gathered: Gathered): string {
  const columns = columnsOf(view);
  return csv(
    columns.map((column) => column.title),
    gathered.rows.map((row) => columns.map((column) => column.value(row))),
  );
}
