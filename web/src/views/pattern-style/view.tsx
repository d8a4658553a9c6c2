import { map, scale, sink } from "../../state/params";
import { Select } from "../controls/view";

/**
 * Scale, colour map and sink of all patterns on a page. Most heads have most weight on the first token; set
 * apart or hidden, it leaves the brightness to the other weights.
 */
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
      <Select
        label="First token"
        value={sink.value}
        options={[
          { value: "shown", title: "in place" },
          { value: "apart", title: "set apart", help: "A strip at the left with a scale of its own" },
          { value: "hidden", title: "hidden" },
        ]}
        onChange={sink.set}
      />
    </>
  );
}
