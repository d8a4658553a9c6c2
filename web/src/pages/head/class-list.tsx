import type { TaggedClass } from "../../data/classes";
import { Citation } from "../../views/citation/view";
import { ClassTag } from "../../views/class-tag/view";

/** The classes of the head, with a list of the sources. */
export function ClassList({ tagged }: { tagged: readonly TaggedClass[] }) {
  if (tagged.length === 0) {
    return <p class="muted">This head is in no class, by source or by score.</p>;
  }
  const cited = tagged.flatMap(({ tags }) => tags);
  return (
    <div class="head-classes">
      <div class="toolbar">
        {tagged.map((tagged) => (
          <span key={tagged.class.name}>
            <ClassTag class={tagged.class} tags={tagged.tags} />{" "}
            <span class="muted">{tagged.class.rows.length} heads</span>
          </span>
        ))}
      </div>
      {cited.length === 0 ? null : (
        <details>
          <summary>
            {cited.length} {cited.length === 1 ? "source" : "sources"}
          </summary>
          <ul>
            {cited.map((tag, place) => (
              <li key={place}>
                <strong>{tag.head_class}</strong>: <Citation title={tag.paper} url={tag.url} />
                {tag.evidence ? `, ${tag.evidence}` : ""}
                {tag.note ? `. ${tag.note}` : ""}
                {tag.conflict ? <span class="head-conflict"> Disputed: {tag.conflict}</span> : null}
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}
