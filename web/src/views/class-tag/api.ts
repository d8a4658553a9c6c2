import type { ClassTag as Citation, HeadClass } from "../../contract/generated";

/** A class in its group's colour, linking to the class's page. */
export interface ClassTagProps {
  class: HeadClass;
  /** What sources say of the head at hand; empty where only the class is named. */
  tags?: readonly Citation[];
}
