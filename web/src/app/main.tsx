import "./styles.css";
import { render } from "preact";
import { translateLegacy } from "../state/legacy";
import { keepScroll } from "../state/scroll";
import { applyTheme } from "../state/theme";
import { go } from "../state/url";
import { App } from "./app";
import { followLinks } from "./links";
import { writePixels } from "./pixels";

const translated = translateLegacy(window.location.search);
if (translated !== null) go(translated, "replace");
writePixels();
applyTheme();
followLinks();
keepScroll();
const root = document.getElementById("app");
if (root) {
  document.getElementById("not-started")?.remove();
  render(<App />, root);
}
