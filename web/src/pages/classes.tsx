import "./classes/page.css";
import { useMemo, useRef } from "preact/hooks";
import type { ClassTag, HeadClass, Manifest } from "../contract/generated";
import { isolated } from "../data/composed";
import { loadClasses, loadTags } from "../data/classes";
import { loadHeads, type Heads } from "../data/heads";
import type { Pattern } from "../data/patterns";
import { loadClassPictures } from "../data/pictures";
import { choice, flag } from "../state/codecs";
import { classes as classesParam, filter, models as modelsParam } from "../state/params";
import { useResource } from "../state/resource";
import { change, param } from "../state/url";
import { Check, Many, Select } from "../views/controls/view";
import { ExportMenu } from "../views/export-menu/view";
import { Empty, Loaded } from "../views/states/view";
import { Cards } from "./classes/cards";
import { chooseClasses, papersByClass, presentFirst } from "./classes/choose";
import { Grids } from "./classes/grids";
import { OpenClass } from "./classes/open";
import { paper } from "./classes/params";
import type { PageProps } from "./page";

const kind = param("kind", choice("any", "literature", "computed"), "any");
const present = param("present", flag, false);

/** Classes of heads, from the literature and from behaviour scores. */
export default function Classes({ manifest }: PageProps) {
  const data = useResource(async () => {
    const [known, tags, heads] = await Promise.all([
      loadClasses(manifest),
      loadTags(manifest),
      loadHeads(manifest),
    ]);
    const all = await loadClassPictures(manifest, known.length);
    const pictures = all && new Map(known.map(({ name }, place) => [name, all[place] as Pattern]));
    return { classes: presentFirst(known), tags, heads, pictures };
  }, [manifest]);
  return (
    <>
      <h1>Classes</h1>
      <p class="muted">
        Here you can find the heads of a known class, those with the highest score first. Classes come from the literature, with their sources, or
        are computed from behaviour scores on repeated random tokens.
      </p>
      <Loaded resource={data} what="the classes" height={400}>
        {(loaded) => <Content manifest={manifest} {...loaded} />}
      </Loaded>
    </>
  );
}

interface ContentProps {
  manifest: Manifest;
  classes: readonly HeadClass[];
  tags: readonly ClassTag[];
  heads: Heads;
  /** Mean picture of each class, by its name. */
  pictures: ReadonlyMap<string, Pattern> | null;
}

function Content({ manifest, classes, tags, heads, pictures }: ContentProps) {
  const grids = useRef<HTMLElement>(null);
  const papers = useMemo(() => papersByClass(tags), [tags]);
  const names = modelsParam.value;
  const models = manifest.models.filter((model) => names.length === 0 || names.includes(model.name));
  const chosen = chooseClasses(classes, papers, {
    words: filter.value,
    paper: paper.value,
    kind: kind.value,
    present: present.value,
  });
  const open = classes.filter((headClass) => classesParam.value.includes(headClass.name));
  const coloured = open.length > 0 ? open : chosen;
  return (
    <>
      <Controls manifest={manifest} classes={classes} papers={papers} />
      <div class="class-columns" data-open={open.length > 0}>
        {open.length > 0 ? (
          <div class="class-opened">
            {open.map((headClass) => (
              <OpenClass key={headClass.name} {...{ manifest, class: headClass, tags, models, heads }} />
            ))}
          </div>
        ) : null}
        <section ref={grids} class="class-maps" aria-label="Heads coloured by class">
          <div class="toolbar class-heading">
            <h2>{open.length > 0 ? `Heads in ${open.map((headClass) => isolated(headClass.name)).join(", ")}` : "Heads by class"}</h2>
            <ExportMenu target={() => grids.current} name="heads by class" />
          </div>
          <Grids manifest={manifest} models={models} classes={coloured} />
        </section>
        <section class="class-list" aria-label="Classes">
          <div class="toolbar class-heading">
            <h2>{chosen.length === classes.length ? chosen.length : `${chosen.length} of ${classes.length}`} classes</h2>
          </div>
          {chosen.length === 0 ? (
            <Empty title="No class matches the filters">
              <button
                type="button"
                onClick={() => change([filter.to(""), paper.to(""), kind.to("any"), present.to(false)])}
              >
                Clear the filters
              </button>
            </Empty>
          ) : (
            <Cards {...{ manifest, classes: chosen, tags, papers, heads, pictures }} />
          )}
        </section>
      </div>
    </>
  );
}

function Controls(props: {
  manifest: Manifest;
  classes: readonly HeadClass[];
  papers: ReadonlyMap<string, ReadonlyMap<string, string>>;
}) {
  const { manifest, classes, papers } = props;
  const titles = [...new Set([...papers.values()].flatMap((item) => [...item.keys()]))].sort();
  return (
    <div class="toolbar class-toolbar">
      <input
        type="search"
        placeholder="Search classes"
        aria-label="Search classes"
        value={filter.value}
        onInput={(event) => filter.replace(event.currentTarget.value)}
      />
      <Select
        label="Kind"
        value={kind.value}
        options={[
          { value: "any", title: "any" },
          { value: "literature", title: "literature" },
          { value: "computed", title: "computed" },
        ]}
        onChange={(value) => kind.set(value)}
      />
      {titles.length > 0 ? (
        <Select
          label="Paper"
          value={paper.value}
          options={[{ value: "", title: "any" }, ...titles.map((title) => ({ value: title, title }))]}
          onChange={(value) => paper.set(value)}
        />
      ) : null}
      <Many
        label="Models"
        values={modelsParam.value}
        options={manifest.models.map((model) => ({ value: model.name, title: model.name }))}
        onChange={(values) => modelsParam.set(values)}
      />
      <Many
        label="Open"
        none="none"
        values={classesParam.value}
        options={classes.map((headClass) => ({ value: headClass.name, title: headClass.name, count: headClass.rows.length }))}
        onChange={(values) => classesParam.set(values)}
      />
      <Check label="with heads here" value={present.value} onChange={(value) => present.set(value)} />
    </div>
  );
}
