import type { PointKey } from "./api";

const GENERAL: readonly [string, string][] = [
  ["drag, arrows", "turn (in 2-D: move)"],
  ["right drag, Shift + drag", "move"],
  ["wheel, + −", "zoom in, zoom out"],
  ["W A S D, R F", "fly; with Shift, fast"],
  ["Q E", "roll"],
  ["two fingers", "move, zoom, roll"],
  ["M", "dragging turns the points, or the camera"],
  ["2", "2-D or 3-D"],
  ["0", "back to the start"],
  ["click, middle click, P", "pin the preview"],
  ["N, Shift + N", "next, previous point"],
  ["right click, Enter", "open the point"],
  ["L, B", "select by lasso, by rectangle; Shift adds, Alt removes"],
  ["X", "clear the selection"],
  ["O, K, I", "show or hide directions, legend, drawing statistics"],
  ["H, ?", "show or hide this list"],
  ["Esc", "close"],
];

/** The list of keys, on top of the picture. */
export function Help({ keys, selecting, onClose }: { keys: readonly PointKey[]; selecting: boolean; onClose: () => void }) {
  const general = GENERAL.filter(([key]) => selecting || !/^(L, B|X)$/.test(key));
  const ofPage = keys.map(({ key, title }): [string, string] => [
    /^[A-Z]$/.test(key) ? `Shift + ${key}` : key.toUpperCase(),
    title,
  ]);
  return (
    <div class="points-3d-help" role="dialog" aria-label="Keys" data-export="no">
      <button type="button" class="quiet" onClick={onClose} aria-label="Close the list of keys">
        ✕
      </button>
      <dl>
        {[...general.slice(0, -2), ...ofPage, ...general.slice(-2)].map(([key, what]) => (
          <div key={key}>
            <dt>{key}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
