document.querySelectorAll("#board thead th").forEach((head, column) => {
  let down = true;
  const sort = () => {
    const body = document.querySelector("#board tbody");
    const value = row => { const cell = row.children[column]; const v = cell.dataset.value; return v === undefined ? cell.textContent : v === "" ? -Infinity : +v; };
    [...body.rows].sort((a, b) => { const x = value(a), y = value(b); return (x < y ? 1 : x > y ? -1 : 0) * (down ? 1 : -1); }).forEach(row => body.append(row));
    down = !down;
  };
  head.addEventListener("click", sort);
});
