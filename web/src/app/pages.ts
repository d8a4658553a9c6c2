// The pages of the site, in the order of the navigation. A page is one line here and one module in
// pages/, whose default export is a component of `PageProps`. It is loaded when it is opened.

import type { Manifest } from "../contract/generated";
import { isLive } from "../data/live";
import type { PageComponent } from "../pages/page";

export interface PageEntry {
  name: string;
  title: string;
  /**
   * Whether the navigation and the search list it; `live`: only under `motifs serve --live`; `ablations`:
   * only if heads were ablated.
   */
  nav: boolean | "live" | "ablations";
  load: () => Promise<{ default: PageComponent }>;
}

export const PAGES: PageEntry[] = [
  { name: "home", title: "Workbench", nav: true, load: () => import("../pages/home") },
  { name: "head", title: "Head", nav: false, load: () => import("../pages/head") },
  { name: "heads", title: "All heads", nav: true, load: () => import("../pages/heads") },
  { name: "pattern", title: "Pattern", nav: false, load: () => import("../pages/pattern") },
  { name: "text", title: "Your text", nav: "live", load: () => import("../pages/text") },
  { name: "compare", title: "Compare", nav: false, load: () => import("../pages/compare") },
  { name: "patterns-3d", title: "Cloud of patterns", nav: true, load: () => import("../pages/patterns-3d") },
  { name: "heads-3d", title: "Cloud of heads", nav: true, load: () => import("../pages/heads-3d") },
  { name: "projections", title: "Projections", nav: true, load: () => import("../pages/projections") },
  { name: "distances", title: "Distances", nav: true, load: () => import("../pages/distances") },
  { name: "classes", title: "Classes", nav: true, load: () => import("../pages/classes") },
  { name: "clusters", title: "Clusters", nav: true, load: () => import("../pages/clusters") },
  { name: "cluster-trends", title: "Cluster trends", nav: true, load: () => import("../pages/cluster-trends") },
  { name: "features", title: "Features", nav: true, load: () => import("../pages/features") },
  { name: "evaluation", title: "Evaluation", nav: true, load: () => import("../pages/evaluation") },
  { name: "ablation", title: "Ablation", nav: "ablations", load: () => import("../pages/ablation") },
  { name: "about", title: "About", nav: true, load: () => import("../pages/about") },
];

/** Return the pages that the navigation lists. */
export function listedPages(manifest: Manifest): PageEntry[] {
  return PAGES.filter(({ nav }) => {
    if (nav === "live") return isLive();
    return nav === "ablations" ? manifest.ablations !== null : nav;
  });
}
