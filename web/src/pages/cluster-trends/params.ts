import { choice, flag, integer } from "../../state/codecs";
import { param } from "../../state/url";

/** Quantity on the horizontal axis. */
export const over = param("over", choice("depth", "feature", "size"), "depth");
/** What one line stands for. */
export const by = param("by", choice("model", "family"), "model");
/** A panel per cluster, or one per model or family. */
export const panels = param("panels", choice("clusters", "groups"), "clusters");
/** Bins of the depth. */
export const bins = param("bins", integer(2, 24), 6);
/** Number of clusters shown, largest first. */
export const nClusters = param("n_clusters", integer(1, 200), 12);
/** Whether the axis of each panel ends at its own largest share. */
export const ownScale = param("own_scale", flag, true);
