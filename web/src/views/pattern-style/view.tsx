import { map, scale, sink } from "../../state/params";
import { Check, Select } from "../controls/view";

/** Scale, colour map and sink of all patterns on a page. */
export function PatternStyleControls() {
  return (
    <>
      <Select
        label="Scale"
        value={scale.value}
        options={[
          { value: "sqrt", title: "square root" },
          { value: "linear", title: "linear" },
          { value: "log", title: "logarithm" },
        ]}
        onChange={scale.set}
      />
      <Select
        label="Colours"
        value={map.value}
        options={(["viridis", "cividis", "magma", "greys"] as const).map((value) => ({ value, title: value }))}
        onChange={map.set}
      />
      <Check
        label="Hide the first token"
        help="Most heads have most weight on the first token. Without it, brightness is scaled to the largest other weight."
        value={sink.value === "hidden"}
        onChange={(hidden) => sink.set(hidden ? "hidden" : "shown")}
      />
    </>
  );
}
