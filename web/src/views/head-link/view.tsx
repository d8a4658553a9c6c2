import { head as headParam } from "../../state/params";
import { link } from "../../state/url";
import type { HeadLinkProps } from "./api";

/** `model:L5:H3`, linking to the head page. */
export function HeadLink({ head, short }: HeadLinkProps) {
  const shown = short ? head.replace(/^.*:(L\d+:H\d+)$/, "$1") : head;
  return (
    <a class="head-link" href={link("head", headParam.to(head))} title={short ? head : undefined}>
      {shown}
    </a>
  );
}
