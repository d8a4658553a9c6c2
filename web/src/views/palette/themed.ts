// Colours of categories in the theme of the page. A component that calls them is drawn again when it changes.

import { dark } from "../../state/theme";
import { onGround } from "./contrast";
import { categoryColour } from "./palette";

/** Return a colour of a category, distinct from the ground of the theme. */
export function themed(colour: string): string {
  return onGround(colour, dark.value);
}

/** Return the colour of a category by its place, distinct from the ground of the theme. */
export function themedCategory(place: number): string {
  return place < 0 ? categoryColour(place) : themed(categoryColour(place));
}
