import { PatternCanvas } from "../pattern-canvas/view";
import type { HeadPictureProps } from "./api";

/** A mean pattern. It is drawn on the square-root scale with the first token set apart, whatever the link says. */
export function HeadPicture({ picture, size, label }: HeadPictureProps) {
  return (
    <span style={{ display: "block", flex: "none", width: size, height: size }}>
      {picture ? (
        <PatternCanvas pattern={picture} size={size} label={label} style={{ scale: "sqrt", sink: "apart" }} />
      ) : null}
    </span>
  );
}
