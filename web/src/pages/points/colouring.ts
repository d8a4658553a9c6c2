// The column that colours the points, loaded.

import { useMemo } from "preact/hooks";
import { useResource } from "../../state/resource";
import { dark } from "../../state/theme";
import { onGround } from "../../views/palette/contrast";
import type { Colouring } from "../../views/points-3d/colours";
import type { PointColumn } from "./columns";

/** Load the colouring of a column. The last one is shown until the next is loaded. */
export function useColouring(columns: readonly PointColumn[], id: string) {
  const loaded = useResource(
    async () => ({ id, colouring: await (columns.find((column) => column.id === id) as PointColumn).load() }),
    [columns, id],
    { keep: true },
  );
  const isDark = dark.value;
  return useMemo(
    () =>
      loaded.status === "ready"
        ? { ...loaded, value: { ...loaded.value, colouring: onTheme(loaded.value.colouring, isDark) } }
        : loaded,
    [loaded, isDark],
  );
}

/** Return a colouring whose categories are distinct from the ground of the theme. */
function onTheme(colouring: Colouring, isDark: boolean): Colouring {
  if (colouring.kind === "amounts") return colouring;
  return { ...colouring, colours: colouring.colours.map((colour) => onGround(colour, isDark)) };
}
