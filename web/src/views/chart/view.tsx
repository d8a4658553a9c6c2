import "./view.css";

export { Bars } from "./bars";
export { Histogram } from "./histogram";
export { Interval } from "./interval";
export { Scatter } from "./scatter";
export { Strip } from "./strip";
export { byteSize, extent, figure } from "./scale";
