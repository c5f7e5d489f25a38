// The filter. Without this script the page is complete, and the filter does not show.
(() => {
  const box = document.getElementById("filter");
  const found = document.getElementById("found");
  const items = [...document.querySelectorAll(".item")];
  const buttons = [...document.querySelectorAll("[data-show]")];
  let kind = "";

  function apply() {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let tests = 0;
    for (const item of items) {
      const fits = words.every((word) => item.dataset.text.includes(word));
      const wanted = !kind || !("kind" in item.dataset) || item.dataset.kind.split(" ").includes(kind);
      item.hidden = !(fits && wanted);
      tests += !item.hidden && item.classList.contains("test");
    }
    for (const suite of document.querySelectorAll(".suite")) {
      suite.hidden = !suite.querySelector(".item:not([hidden])");
    }
    found.textContent = words.length || kind ? `${tests} tests` : "";
  }

  for (const button of buttons) {
    button.addEventListener("click", () => {
      kind = kind === button.dataset.show ? "" : button.dataset.show;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other.dataset.show === kind));
      apply();
    });
  }
  box.addEventListener("input", apply);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== box) {
      event.preventDefault();
      box.focus();
    } else if (event.key === "Escape" && document.activeElement === box) {
      box.value = "";
      apply();
    }
  });
  document.querySelector(".filter").hidden = false;
  apply();
})();
