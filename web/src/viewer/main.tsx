// Start of the viewer: a document that holds its data, in a frame of a notebook or as a file.

import "../app/styles.css";
import "./viewer.css";
import { render } from "preact";
import { writePixels } from "../app/pixels";
import { readView } from "../data/view";
import { map, scale, sink, theme } from "../state/params";
import { applyTheme } from "../state/theme";
import { keepInMemory, queryString, type Setting } from "../state/url";
import { Failed } from "../views/states/view";
import { Viewer } from "./viewer";

const root = document.getElementById("app");
const data = document.getElementById("data")?.textContent ?? "";
if (root) {
  writePixels();
  try {
    const view = readView(data);
    const settings: Setting[] = [
      scale.to(view.scale),
      map.to(view.colours),
      sink.to(view.first_token),
      theme.to(view.theme),
    ];
    keepInMemory(queryString(settings.flatMap(([name, text]) => (text === null ? [] : [[name, text] as const]))));
    applyTheme();
    root.textContent = "";
    render(<Viewer view={view} />, root);
  } catch (error) {
    applyTheme();
    render(<Failed error={error instanceof Error ? error : new Error(String(error))} />, root);
  }
}
