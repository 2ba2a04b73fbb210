const heads = [...document.querySelectorAll("#board thead th")];
heads.forEach((head, column) => {
  const button = head.querySelector("button");
  if (!button) return;
  button.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") !== "descending";
    const body = document.querySelector("#board tbody");
    const value = row => row.children[column].dataset.value;
    // What was not asked stays at the bottom, whichever way.
    [...body.rows].sort((a, b) => {
      const x = value(a), y = value(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      return (y - x) * (down ? 1 : -1);
    }).forEach(row => body.append(row));
    heads.forEach(other => other.hasAttribute("aria-sort") && other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  });
});
