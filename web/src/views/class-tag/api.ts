import type { ClassTag as Citation, HeadClass } from "../../contract/generated";

/** The name of a class, in the colour of its group, with a link. */
export interface ClassTagProps {
  class: HeadClass;
  /** Tags of the head by the sources; empty if no head is meant. */
  tags?: readonly Citation[];
}
