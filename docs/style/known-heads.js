// Search of the page of known heads: hides the rows that do not match the three fields.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("known-heads-search");
  if (!form) return;
  const rows = [...document.querySelectorAll("#known-heads tbody tr")].map((row) => ({
    row,
    model: row.dataset.model.toLowerCase(),
    class: row.cells[1].textContent.toLowerCase(),
    paper: (row.cells[2].textContent + " " + row.cells[2].querySelector("a").href).toLowerCase(),
    heads: row.cells[5].textContent.trim().split(/\s+/).length,
  }));
  const fields = [...form.querySelectorAll("input")];
  const show = () => {
    const queries = fields.map((input) => [
      input.dataset.field,
      input.value.toLowerCase().split(/\s+/).filter(Boolean),
    ]);
    let statements = 0;
    for (const entry of rows) {
      const matches = queries.every(([field, words]) => words.every((word) => entry[field].includes(word)));
      entry.row.hidden = !matches;
      if (matches) statements += entry.heads;
    }
    form.querySelector("output").textContent = `${statements} statements`;
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
});
