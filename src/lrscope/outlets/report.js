(() => {
  "use strict";
  const pictures = JSON.parse(document.getElementById("pictures").textContent);
  const plots = [...document.querySelectorAll(".plot[data-picture]")];
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const shown = new Map();
  let chosen = null;
  let generation = 0;

  const isDark = () => (chosen === null ? system.matches : chosen === "dark");

  // The room beside a plotting area for its axis and for the names of lanes or tensors.
  const MARGIN = 185;

  function fit(spec, room) {
    if (spec.hconcat) {
      const spacing = spec.spacing ?? 20;
      const width = Math.floor((room - 90 - spacing * (spec.hconcat.length - 1)) / spec.hconcat.length);
      for (const column of spec.hconcat) column.spec.width = Math.max(96, Math.min(420, width));
    } else if (spec.concat) {
      const [least, margin] = spec.columns > 2 ? [140, 155] : [240, MARGIN];
      spec.columns = Math.max(1, Math.min(spec.columns, Math.floor(room / (least + margin))));
      const width = Math.floor(room / spec.columns - margin);
      for (const panel of spec.concat) panel.width = Math.max(140, Math.min(480, width));
    } else {
      spec.width = Math.max(220, Math.min(900, room - MARGIN + 15));
    }
  }

  function specification(picture, room) {
    const spec = structuredClone(picture.spec);
    if (isDark()) {
      for (const [path, value] of picture.dark) {
        const last = path.length - 1;
        path.slice(0, last).reduce((at, key) => at[key], spec)[path[last]] = value;
      }
    }
    spec.config.background = "transparent";
    spec.config.padding = { left: 2, right: 6, top: 4, bottom: 4 };
    spec.config.legend.columns = room < 560 ? 3 : 6;
    fit(spec, room);
    return spec;
  }

  async function draw(plot) {
    const picture = pictures[plot.dataset.picture];
    const before = shown.get(plot);
    const slides = picture.spec.params?.some((param) => param.name === "epoch");
    const epoch = before && slides ? before.view.signal("epoch") : undefined;
    const result = await window.vegaEmbed(plot, specification(picture, plot.clientWidth), {
      ast: true,
      defaultStyle: false,
      renderer: "canvas",
      tooltip: { disableDefaultStyle: true },
      downloadFileName: plot.dataset.picture,
      actions: { export: true, source: false, compiled: false, editor: false },
    });
    if (epoch !== undefined) result.view.signal("epoch", epoch).run();
    if (before) before.finalize();
    shown.set(plot, result);
  }

  // One after the other, the first one first: the page can be read and scrolled while the rest is drawn.
  async function drawAll() {
    const mine = ++generation;
    for (const plot of plots) {
      if (mine !== generation) return;
      await draw(plot);
      if (plot === plots[0]) performance.mark("first-chart");
      await new Promise((next) => setTimeout(next));
    }
    if (mine === generation) {
      performance.mark("all-charts");
      root.dataset.drawn = isDark() ? "dark" : "light";
    }
  }

  function theme() {
    button.textContent = isDark() ? "light" : "dark";
    button.setAttribute("aria-label", `Switch to the ${button.textContent} theme`);
    if (chosen !== null) root.dataset.theme = chosen;
    else root.dataset.theme = system.matches ? "dark" : "light";
    delete root.dataset.drawn;
    return drawAll();
  }

  button.hidden = false;
  button.addEventListener("click", () => {
    chosen = isDark() ? "light" : "dark";
    theme();
  });
  system.addEventListener("change", () => chosen === null && theme());

  let width = innerWidth;
  let waiting;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 200);
  });

  theme();
})();
