// @vitest-environment happy-dom

import { beforeEach, describe, expect, it } from "vitest";
import { STEPS, Tour } from "../src/app/tour";
import { TERMS } from "../src/data/terms";
import { tour } from "../src/state/params";
import { stored } from "../src/state/stored";
import { go } from "../src/state/url";
import { HelpSentence, Term } from "../src/views/help/view";
import { click, draw } from "./dom";

const settle = () => new Promise((resolve) => setTimeout(resolve, 20));
const sentence = () => document.querySelector("[role=tooltip]")?.textContent ?? null;

describe("the sentence of a term", () => {
  it("is shown on focus and on hover, describes the term, and Escape hides it", async () => {
    const view = await draw(
      <>
        <Term help={TERMS.rand}>adjusted Rand index</Term>
        <p>other</p>
        <HelpSentence />
      </>,
    );
    const term = view.querySelector(".term") as HTMLElement;
    expect(sentence()).toBeNull();
    term.dispatchEvent(new FocusEvent("focusin", { bubbles: true }));
    await settle();
    expect(sentence()).toBe(TERMS.rand);
    expect(term.getAttribute("aria-describedby")).toBe(document.querySelector("[role=tooltip]")?.id);
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    await settle();
    expect(sentence()).toBeNull();
    expect(term.hasAttribute("aria-describedby")).toBe(false);
    term.dispatchEvent(new Event("pointerover", { bubbles: true }));
    await settle();
    expect(sentence()).toBe(TERMS.rand);
    view.querySelector("p")?.dispatchEvent(new Event("pointerover", { bubbles: true }));
    await settle();
    expect(sentence()).toBeNull();
  });

  it("of a field describes the field, not its label", async () => {
    const view = await draw(
      <>
        <label data-help="Why.">
          <input type="checkbox" />
        </label>
        <HelpSentence />
      </>,
    );
    const input = view.querySelector("input") as HTMLElement;
    input.dispatchEvent(new FocusEvent("focusin", { bubbles: true }));
    await settle();
    expect(input.hasAttribute("aria-describedby")).toBe(true);
  });
});

describe("the tour", () => {
  beforeEach(() => {
    go("?page=home");
    tour.replace(0);
  });

  const driven = (isDriven: boolean) => Object.defineProperty(navigator, "webdriver", { value: isDriven, configurable: true });

  it("is not offered to a program that drives the browser", async () => {
    driven(true);
    const view = await draw(<Tour />);
    expect(view.querySelector("button")).toBeNull();
  });

  it("is offered until it is dismissed, and then never again", async () => {
    driven(false);
    const view = await draw(<Tour />);
    const buttons = () => [...view.querySelectorAll("button")];
    expect(buttons()).toHaveLength(2);
    buttons()[1]?.click();
    await settle();
    expect(buttons()).toHaveLength(0);
    expect(stored("attention-motifs tour").value).toBe("dismissed");
  });

  it("goes forward and back through its steps, and Escape ends it", async () => {
    tour.replace(1);
    const view = await draw(<Tour />);
    expect(view.textContent).toContain(STEPS[0]?.title);
    await click(view, ".tour-card .primary");
    expect(view.textContent).toContain(STEPS[1]?.title);
    await click(view, ".tour-card button:not(.primary)");
    expect(view.textContent).toContain(STEPS[0]?.title);
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    await settle();
    expect(tour.value).toBe(0);
    expect(view.querySelector(".tour-card")).toBeNull();
  });

  it("ends with its last step", async () => {
    tour.replace(STEPS.length);
    const view = await draw(<Tour />);
    await click(view, ".tour-card .primary");
    expect(tour.value).toBe(0);
  });
});
