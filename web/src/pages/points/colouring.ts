// The column that colours the points, loaded.

import { useResource } from "../../state/resource";
import type { PointColumn } from "./columns";

/** Load the colouring of a column. The last one is shown until the next is loaded. */
export function useColouring(columns: readonly PointColumn[], id: string) {
  return useResource(
    async () => ({ id, colouring: await (columns.find((column) => column.id === id) as PointColumn).load() }),
    [columns, id],
    { keep: true },
  );
}
