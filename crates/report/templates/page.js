// Dims what is lost, and shows the row of the table that says what that costs. Without it the table says the same.
(() => {
  const choice = document.getElementById("lost");
  if (!choice) return;
  document.documentElement.classList.add("js");
  const said = document.getElementById("cost");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const show = () => {
    const option = choice.selectedOptions[0];
    const { kind, name } = option.dataset;
    all(".chosen").forEach((row) => row.classList.remove("chosen"));
    all(".gone").forEach((one) => one.classList.remove("gone"));
    const row = option.value && document.getElementById(option.value);
    if (row) row.classList.add("chosen");
    said.textContent = row ? row.dataset.sentence : "";
    for (const picture of all(".topology")) {
      const gone = (machine) => kind === "machine" ? machine.dataset.machine === name
        : kind === "server" && machine.closest("[data-role]").dataset.server === name;
      const machines = all("[data-machine]", picture);
      machines.forEach((machine) => machine.classList.toggle("gone", gone(machine)));
      const left = new Set(machines.filter((machine) => !gone(machine))
        .map((machine) => machine.closest("[data-role]").dataset.role));
      for (const edge of all(".edge", picture)) {
        const ends = [edge.dataset.from, edge.dataset.to].filter(Boolean).map((roles) => roles.split(" "));
        edge.classList.toggle("gone", ends.some((roles) => !roles.some((role) => left.has(role))));
      }
    }
  };
  choice.addEventListener("change", show);
  show();
})();
