const pictures = JSON.parse(document.getElementById("pictures").textContent);
const plots = [...document.querySelectorAll(".plot[data-picture]")];
const root = document.documentElement;
const button = document.getElementById("theme");
const system = matchMedia("(prefers-color-scheme: dark)");
const shown = new Map();
let chosen = null;
let generation = 0;

const isDark = () => (chosen === null ? system.matches : chosen === "dark");

async function draw(plot) {
  const picture = pictures[plot.dataset.picture];
  const before = shown.get(plot);
  const slides = picture.spec.params?.some((param) => param.name === "epoch");
  const epoch = before && slides ? before.view.signal("epoch") : undefined;
  const dark = isDark();
  const spec = specification(picture, dark, plot.clientWidth);
  const result = await window.vegaEmbed(plot, spec, embedding(plot.dataset.picture));
  plot.dataset.drawn = dark ? "dark" : "light"; // the page may change its theme before its plots, as for paper
  if (epoch !== undefined) result.view.signal("epoch", epoch).run();
  if (before) before.finalize();
  shown.set(plot, result);
  const still = plot.previousElementSibling;
  if (still?.classList.contains("still")) still.remove(); // and shows the plot
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
  button.textContent = isDark() ? button.dataset.light : button.dataset.dark;
  button.setAttribute("aria-label", isDark() ? button.dataset.toLight : button.dataset.toDark);
  if (chosen !== null) root.dataset.theme = chosen;
  else root.dataset.theme = system.matches ? "dark" : "light";
  delete root.dataset.drawn;
  return drawAll();
}

// How wide a row is where its reason stands below it, on a narrow screen.
for (const { rows, style } of document.querySelectorAll(".lanes table")) {
  style.setProperty("--numbers", rows[0].querySelectorAll(".number").length);
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
