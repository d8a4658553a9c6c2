import "./view.css";
import { classes } from "../../state/params";
import { link } from "../../state/url";
import { themed } from "../palette/themed";
import type { ClassTagProps } from "./api";

/** A class, with a mark where sources disagree and the citations on hover. */
export function ClassTag({ class: headClass, tags = [] }: ClassTagProps) {
  const conflict = tags.some((tag) => tag.conflict !== "");
  const sources = tags.map((tag) =>
    [`${tag.paper}: ${tag.evidence}`, tag.note, tag.conflict && `Conflict: ${tag.conflict}`]
      .filter(Boolean)
      .join(". "),
  );
  const title = [headClass.description, ...sources].filter(Boolean).join("\n\n");
  return (
    <a class="class-tag" href={link("classes", classes.to([headClass.name]))} data-help={title}>
      <span class="class-tag-dot" style={{ background: themed(headClass.colour) }} aria-hidden="true" />
      {headClass.name}
      {headClass.kind === "computed" && !headClass.name.includes("computed") ? <span class="muted">computed</span> : null}
      {conflict ? <span class="class-tag-conflict">disputed</span> : null}
    </a>
  );
}
