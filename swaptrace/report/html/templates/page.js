"use strict";
(() => {
  const all = (selector, root) => [...(root || document).querySelectorAll(selector)];
  const tip = document.getElementById("tip");
  document.documentElement.classList.add("scripted");
  for (const part of all(".script")) part.classList.remove("script");

  // What may be too wide can be scrolled by keys.
  const scrolled = { ".wide": "Table or picture", ".source": "Source", pre: "Text" };
  for (const [selector, label] of Object.entries(scrolled)) {
    for (const box of all(selector)) {
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", label);
    }
  }

  // Steps.
  const scenes = all(".scene[data-steps]");
  let current = scenes[0];
  const show = (scene, at) => {
    current = scene;
    const slider = scene.querySelector("input[type=range]");
    slider.value = at;
    at = Number(slider.value);
    let title = "";
    const taken = new Set();
    for (const row of all("tr[data-at]", scene)) {
      const here = Number(row.dataset.at) === at;
      row.classList.toggle("now", here);
      if (here) {
        title = row.querySelector("th").textContent.trim();
        row.setAttribute("aria-current", "step");
        for (const [number] of numbers(row)) taken.add(number);
      } else row.removeAttribute("aria-current");
    }
    for (const line of all(".source li", scene)) {
      const here = (line.dataset.steps || "").split(" ").includes(String(at));
      line.classList.toggle("now", here);
      if (here) reveal(line);
    }
    for (const line of told(scene)) line.classList.toggle("now", taken.has(line.cells[0].textContent));
    const arrows = all(".arrows path", scene);
    all(".tags text", scene).forEach((tag, index) => {
      const took = tag.textContent.split(",").some((number) => taken.has(number));
      for (const part of [tag, arrows[index]]) part.classList.toggle("now", took);
    });
    scene.querySelector(".stepper output").textContent = `step ${title}`;
    slider.setAttribute("aria-valuetext", `step ${title}`);
  };
  const reveal = (line) => {
    const box = line.closest(".source");
    const from = line.offsetTop - box.offsetTop;
    if (from < box.scrollTop || from + line.offsetHeight > box.scrollTop + box.clientHeight) {
      box.scrollTop = from - box.clientHeight / 2;
    }
  };
  const numbers = (row) => (row.dataset.taken ?? "").split(" ").filter(Boolean).map((one) => one.split(":"));
  const told = (scene) => all(".told tbody tr", scene);
  const step = (scene, by) => show(scene, Number(scene.querySelector("input[type=range]").value) + by);
  for (const scene of scenes) {
    scene.prepend(document.getElementById("stepper").content.cloneNode(true));
    scene.querySelector("input[type=range]").max = scene.dataset.steps - 1;
    scene.querySelector("input[type=range]").addEventListener("input", (event) => show(scene, event.target.value));
    scene.querySelector(".back").addEventListener("click", () => step(scene, -1));
    scene.querySelector(".on").addEventListener("click", () => step(scene, 1));
    scene.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-at]");
      if (row) show(scene, row.dataset.at);
      const line = event.target.closest("li[data-steps]");
      if (line) show(scene, line.dataset.steps.split(" ")[0]);
    });
    show(scene, scene.dataset.start);
  }
  current = scenes[0];
  document.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const plain = !event.ctrlKey && !event.altKey && !event.metaKey && !event.shiftKey;
    if (!by || !plain || !current || event.target.closest("input, textarea, select")) return;
    event.preventDefault();
    step(current, by);
  });

  // What lies under the pointer.
  const pagesAt = (scale, place) => {
    const cuts = scale.split(" ").map((cut) => cut.split(":").map(Number));
    const next = Math.max(1, cuts.findIndex((cut) => cut[1] >= place));
    const [low, left] = cuts[next - 1];
    const [high, right] = cuts[next];
    return Math.round(low + ((high - low) * (place - left)) / (right - left));
  };
  // The runs of a path, from where to where; they may be given from the end of the last or of the strip.
  const runs = (d) => {
    let at = 0;
    return [...d.matchAll(/([Mm])(\S+) \S*?h([^m]+)/g)].map(([, move, by, long]) => {
      const from = Number(by) + (move === "m" ? at : 0);
      at = from + Number(long);
      return [from, at];
    });
  };
  // What is painted first lies beneath the others, from end to end.
  const painted = (symbol, place, slack) => {
    const [least, ...others] = all("[data-s]", symbol).map((path) => [Number(path.dataset.s), runs(path.getAttribute("d"))]);
    for (const [state, found] of others) {
      const run = found.find(([from, to]) => from - slack <= place && place <= to + slack);
      if (run) return [state, run];
    }
    const above = others.flatMap((other) => other[1]);
    const [low, high] = least[1][0];
    const from = Math.max(low, ...above.map((run) => run[1]).filter((end) => end <= place));
    return [least[0], [from, Math.min(high, ...above.map((run) => run[0]).filter((start) => start >= place))]];
  };
  const within = (svg, clientX) => {
    const box = svg.getBoundingClientRect();
    const parts = svg.getAttribute("aria-label").split(": ").slice(1).join(": ").split("; ");
    const [accesses, pages] = parts[Math.min(parts.length - 1, Math.max(0, Math.floor(((clientX - box.left) / box.width) * parts.length)))].split(": ");
    return [`after ${accesses} accesses`, ...pages.split(", ").map((each) => `pages: ${each}`)];
  };
  const describe = (svg, clientX) => {
    const row = svg.closest("tr");
    const scene = svg.closest(".scene");
    const symbol = document.querySelector(svg.querySelector("use").getAttribute("href"));
    const box = svg.getBoundingClientRect();
    const width = symbol.viewBox.baseVal.width;
    const { scale } = svg.closest("table").tHead.rows[0].cells[svg.closest("td").cellIndex].dataset;
    const found = painted(symbol, ((clientX - box.left) / box.width) * width, width / 2000);
    const [first, end] = found[1].map((each) => pagesAt(scale, Math.min(width, each)));
    const entry = all(".legend li", scene)[found[0]];
    const letter = entry.querySelector("b").textContent;
    const lines = [
      first + 1 >= end ? `page ${first}` : `pages ${first} to ${end - 1}`,
      `${letter}: ${entry.querySelector("span").textContent}`,
      `page map: ${entry.querySelector("code").textContent}`,
    ];
    for (const [number, pages] of numbers(row)) {
      const { cells } = told(scene)[number - 1];
      if (!all("b", cells[3]).some((badge) => badge.textContent === letter)) continue;
      lines.push(`in this step, by transition ${number} of ${pages} pages: ${cells[1].textContent.trim()}`);
      const by = cells[cells.length - 1].textContent.trim();
      if (by) lines.push(`decided by ${by}`);
    }
    return lines;
  };
  document.addEventListener("pointermove", (event) => {
    const svg = event.target.closest ? event.target.closest(".scene[data-steps] .strips svg") : null;
    const lines = svg && (svg.matches(".course") ? within : describe)(svg, event.clientX);
    tip.hidden = !lines;
    if (!lines) return;
    tip.replaceChildren(...lines.map((text) => {
      const line = document.createElement("div");
      line.textContent = text;
      return line;
    }));
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
    const below = event.clientY + 18;
    tip.style.top = `${below + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 12 : below}px`;
  });

  // Filtering and folding.
  const filter = document.getElementById("filter");
  const notable = document.getElementById("notable");
  if (filter) {
    const items = all(".item");
    const entries = all("nav li");
    const apply = () => {
      const part = filter.value.trim().toLowerCase();
      let shown = 0;
      items.forEach((item, index) => {
        const fits = item.querySelector("h2").textContent.toLowerCase().includes(part);
        item.hidden = !fits || (notable.checked && !("notable" in item.dataset));
        entries[index].hidden = item.hidden;
        if (!item.hidden) shown += 1;
      });
      document.getElementById("matching").textContent = `${shown} shown`;
    };
    filter.addEventListener("input", apply);
    notable.addEventListener("change", apply);
    const unfold = document.getElementById("unfold");
    unfold.addEventListener("click", () => {
      const open = unfold.textContent === "Open all";
      for (const each of all("details.item")) each.open = open;
      unfold.textContent = open ? "Close all" : "Open all";
    });
  }
  const follow = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.matches("details")) {
      target.open = true;
      current = target.querySelector(".scene") || current;
      target.scrollIntoView();
    }
  };
  addEventListener("hashchange", follow);
  follow();
  for (const item of all("details.item")) {
    item.addEventListener("toggle", () => { if (item.open) current = item.querySelector(".scene") || current; });
  }

  // Paper has no folds.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    for (const each of folded) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of folded) each.open = false; });
})();
