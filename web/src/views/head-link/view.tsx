import { head as headParam } from "../../state/params";
import { link } from "../../state/url";
import type { HeadLinkProps, PromptLabelProps } from "./api";

/** `model:L5:H3`, linking to the head page. */
export function HeadLink({ head, short }: HeadLinkProps) {
  const shown = short ? head.replace(/^.*:(L\d+:H\d+)$/, "$1") : head;
  return (
    <a class="head-link" href={link("head", headParam.to(head))} title={short ? head : undefined}>
      {shown}
    </a>
  );
}

/** The beginning of a prompt; hover shows more of it and where it is from. */
export function PromptLabel({ text, source, length = 60 }: PromptLabelProps) {
  const line = text.replace(/\s+/g, " ").trim();
  return (
    <span class="prompt-label" title={`${text.slice(0, 1000)}\n\nfrom ${source}`}>
      <bdi>{line.length > length ? `${line.slice(0, length)}…` : line}</bdi>
    </span>
  );
}
