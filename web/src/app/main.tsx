import "./styles.css";
import { render } from "preact";
import { translateLegacy } from "../state/legacy";
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
const root = document.getElementById("app");
if (root) render(<App />, root);
