// The axes in the link.

import type { PointAxis } from "../../views/points-3d/api";
import type { PointColumn } from "./columns";
import { x, y, z } from "./params";

/** Return the columns of the two or three axes. Unknown ones are replaced by the usual ones; a third one that does not exist is left out. */
export function chosenAxes(columns: readonly PointColumn[], word: string): string[] {
  const numeric = columns.filter((column) => column.numeric);
  const known = (id: string) => numeric.some((column) => column.id === id);
  const fallback = (k: number) => {
    const usual = `${word} ${k + 1}`;
    return known(usual) ? usual : k === 2 ? "none" : (numeric[k]?.id ?? "none");
  };
  const ids = [x.value, y.value, z.value].map((id, k) => (known(id) || (k === 2 && id === "none") ? id : fallback(k)));
  return ids.filter((id) => id !== "none");
}

/** Load the columns of the axes. */
export async function loadAxes(columns: readonly PointColumn[], ids: readonly string[]): Promise<PointAxis[]> {
  return Promise.all(
    ids.map(async (id) => {
      const column = columns.find((column) => column.id === id) as PointColumn;
      const colouring = await column.load();
      if (colouring.kind !== "amounts") throw new Error(`${column.title} cannot be an axis.`);
      return { title: column.title, values: colouring.values, unit: column.unit };
    }),
  );
}
