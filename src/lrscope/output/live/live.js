// Follows one study, or two side by side. What is shown stands in the address; the server is only asked.

const root = document.documentElement;
const at = (id) => document.getElementById(id);
const words = JSON.parse(at("data").dataset.words);
const charts = JSON.parse(at("data").dataset.charts);
const system = matchMedia("(prefers-color-scheme: dark)");

const RUNNING = 500; // milliseconds between two questions
const RESTING = 2000;
const DATE = { dateStyle: "medium", timeStyle: "short" };

const view = { study: null, with: null, chart: charts[0][0], theme: null, epoch: null };
const sides = new Map(); // name of a study -> what is known and shown of it
let shelf = null;
let shelfTag = null;
let dragging = false;

const isDark = () => (view.theme === null ? system.matches : view.theme === "dark");
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

function made(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// The address: every part of the state that is not as it would be without a word.

function readAddress() {
  const given = new URLSearchParams(location.search);
  view.study = given.get("study");
  view.with = given.get("with");
  view.chart = charts.some(([name]) => name === given.get("chart")) ? given.get("chart") : charts[0][0];
  view.theme = ["light", "dark"].includes(given.get("theme")) ? given.get("theme") : null;
  const epoch = given.get("epoch");
  view.epoch = epoch !== null && /^\d{1,9}$/.test(epoch) ? Number(epoch) : null;
}

function address(changes) {
  const next = { ...view, ...changes };
  const parts = new URLSearchParams();
  for (const name of ["study", "with", "chart", "theme", "epoch"]) {
    const value = next[name];
    if (value !== null && !(name === "chart" && value === charts[0][0])) parts.set(name, value);
  }
  const text = parts.toString();
  return text ? `/?${text}` : "/";
}

// A step that "back" undoes, or a change of the present one.
function go(changes, { step = true } = {}) {
  const next = address(changes);
  Object.assign(view, changes);
  if (step) history.pushState(null, "", next);
  else history.replaceState(null, "", next);
  show();
}

// Which studies are shown: the one asked for, the only one there is, and the one beside it.
function shown() {
  if (shelf === null) return [];
  const known = new Set(shelf.studies.map((one) => one.name));
  const first = view.study ?? (shelf.folder ? null : shelf.studies[0]?.name);
  if (first === null || !known.has(first)) return [];
  return view.with !== null && view.with !== first && known.has(view.with) ? [first, view.with] : [first];
}

// Questions to the server. An answer is { tag, data }, data null where nothing has changed.

async function ask(path, tag) {
  let response;
  try {
    const headers = tag ? { "If-None-Match": `"${tag}"` } : {};
    response = await fetch(path, { headers, cache: "no-store", redirect: "error" });
  } catch {
    throw new Error("lost");
  }
  if (response.status === 403) throw new Error("refused");
  const answer = { tag: response.headers.get("ETag")?.slice(1, -1) ?? null, data: null };
  if (response.status === 304) return answer;
  if (response.status !== 200) throw new Error(response.status === 404 ? "gone" : "failed");
  try {
    answer.data = await response.json();
  } catch {
    throw new Error("lost");
  }
  return answer;
}

function notice(id, text, wrong = false) {
  const element = at(id);
  if (element.textContent !== text) element.textContent = text;
  element.classList.toggle("wrong", wrong);
  element.hidden = text === "";
}

async function lookAtShelf() {
  const answer = await ask("/studies", shelfTag);
  if (answer.data === null) return;
  [shelf, shelfTag] = [answer.data, answer.tag];
  at("loading").hidden = true;
  show();
}

function side(name) {
  if (!sides.has(name)) sides.set(name, newSide());
  return sides.get(name);
}

function newSide() {
  const told = made("article", { className: "side" });
  const figure = made("figure");
  const drawn = made("article", { className: "side" }, figure);
  const rest = made("article", { className: "side" });
  return { tag: null, data: null, told, figure, drawn, rest, pictures: new Map(), on: null, stands: null, result: null };
}

async function follow(name) {
  const mine = side(name);
  const answer = await ask(`/study/${encodeURIComponent(name)}`, mine.tag);
  if (answer.data !== null) {
    [mine.data, mine.tag] = [answer.data, answer.tag];
    tell(name, mine);
  }
  if (mine.data.answer === undefined) {
    mine.figure.replaceChildren();
    mine.on = null;
    return;
  }
  const chart = view.chart;
  let picture = mine.pictures.get(chart);
  if (picture?.tag !== mine.tag && picture?.failed !== mine.tag) {
    try {
      const drawn = await ask(`/study/${encodeURIComponent(name)}/chart/${chart}`, picture?.tag);
      picture = { tag: drawn.tag, data: drawn.data ?? picture.data };
    } catch (error) {
      if (error.message !== "failed") throw error;
      picture = { ...picture, failed: mine.tag };
    }
    mine.pictures.set(chart, picture);
  }
  await draw(name, mine);
}

// What is told of a study. Only what has changed is replaced: a text that is being read or selected stays.

function tell(name, mine) {
  const data = mine.data;
  document.title = title();
  if (data.answer === undefined) {
    const text = data.waiting ? words.waiting : data.reason;
    mine.told.replaceChildren(whose(name), made("p", { className: data.waiting ? "notice" : "notice wrong" }, text));
    mine.rest.replaceChildren();
    return;
  }
  if (mine.told.querySelector(".head") === null) {
    const answer = made("section", { className: "answer" });
    mine.told.replaceChildren(whose(name), made("div", { className: "head" }), answer);
    mine.rest.replaceChildren(...data.sections.map(section));
  }
  put(mine.told.querySelector(".head"), data.head);
  const state = mine.told.querySelector(".state");
  if (data.state === "running" && state !== null) {
    const bar = state.querySelector("progress") ?? state.appendChild(made("progress", { max: data.steps }));
    bar.value = data.step;
    bar.setAttribute("aria-label", fill(words.of, data));
  }
  put(mine.told.querySelector(".answer"), data.answer);
  for (const part of data.sections) put(mine.rest.querySelector(`[data-part="${part.name}"]`), part.html);
}

function section({ name, heading }) {
  const part = made("div", { "data-part": name });
  return made("section", { "aria-label": heading }, made("h2", {}, heading), part);
}

const last = new WeakMap();

// Markup comes from the server, which escapes every name in it; what was unfolded stays so.
function put(element, html) {
  if (last.get(element) === html) return;
  last.set(element, html);
  const open = [...element.querySelectorAll("tr")].flatMap((row, i) => (row.querySelector("details[open]") ? [i] : []));
  const scrolled = element.querySelector(".lanes")?.scrollTop ?? 0;
  element.innerHTML = html;
  const rows = element.querySelectorAll("tr");
  rows[0]?.closest("table").style.setProperty("--numbers", rows[0].querySelectorAll(".number").length);
  for (const i of open) rows[i]?.querySelector("details")?.setAttribute("open", "");
  if (scrolled) element.querySelector(".lanes").scrollTop = scrolled;
}

const whose = (name) => made("p", { className: "whose", hidden: shown().length < 2 }, name);

function title() {
  const parts = shown().map((name) => {
    const data = side(name).data;
    if (!data?.title) return name;
    return data.state === "running" ? `${Math.floor((100 * data.step) / data.steps)}% ${data.title}` : data.title;
  });
  return [...parts, `lrscope ${words.page}`].join(" · ");
}

// The chart. It is drawn beside the one that stands, and takes its place when it is done.

const room = (mine) => mine.figure.clientWidth;

async function draw(name, mine) {
  const picture = mine.pictures.get(view.chart);
  if (!mine.figure.isConnected) return;
  if (picture?.failed === mine.tag) {
    const text = fill(words["failed chart"], { reason: "500" });
    mine.figure.replaceChildren(made("p", { className: "failed" }, text));
    mine.on = null;
    return;
  }
  if (picture === undefined || dragging) return;
  const wanted = [view.chart, picture.tag, isDark(), room(mine)].join(" ");
  if (mine.on === wanted) {
    markDrawn();
    return;
  }
  if (mine.on?.startsWith(`${view.chart} `) && pointed()) return;
  mine.on = wanted;
  const data = picture.data;
  const held = made("div");
  const plot = made("div", { className: "plot", tabIndex: 0, role: "group" }, held);
  plot.setAttribute("aria-label", data.title);
  const figure = made("figure", { id: sideId(name) });
  figure.append(made("h3", {}, data.title), made("p", { className: "question" }, data.question));
  if (data.note) figure.append(made("p", { className: "note" }, data.note));
  figure.append(data.empty ? made("p", { className: "empty" }, data.about) : plot);
  const before = mine.result;
  if (data.empty) {
    mine.figure.replaceWith(figure);
    [mine.figure, mine.result, mine.stands] = [figure, null, wanted];
    before?.finalize();
    markDrawn();
    return;
  }
  const spec = specification(data, isDark(), room(mine));
  const slider = spec.params?.find((one) => one.name === "epoch");
  if (slider && view.epoch !== null) slider.value = nearest(slider.bind, view.epoch);
  const result = await window.vegaEmbed(held, spec, embedding(view.chart));
  if (mine.on !== wanted || !mine.figure.isConnected) {
    result.finalize();
    return;
  }
  const focused = mine.figure.contains(document.activeElement) && document.activeElement.type === "range";
  const across = mine.figure.querySelector(".plot")?.scrollLeft ?? 0;
  mine.figure.replaceWith(figure);
  mine.figure = figure;
  mine.result = result;
  plot.scrollLeft = across;
  if (slider) {
    result.view.addSignalListener("epoch", (_, value) => slid(name, slider.bind, value));
    if (focused) figure.querySelector("input[type=range]").focus();
  }
  at("vg-tooltip-element")?.classList.remove("visible");
  before?.finalize();
  mine.stands = wanted;
  performance.mark("chart");
  markDrawn();
}

// Says on the page that every chart that is wanted stands there.
function markDrawn() {
  const all = shown().map(side);
  if (all.every((one) => one.on !== null && one.on === one.stands)) {
    root.dataset.drawn = `${view.chart} ${isDark() ? "dark" : "light"}`;
  }
}

const sideId = (name) => `chart-${Math.max(0, shown().indexOf(name))}`;

// Somebody reads a point of the chart: it is not taken from under the pointer.
const pointed = () => at("vg-tooltip-element")?.classList.contains("visible") && document.querySelector(".plot:hover") !== null;

function nearest({ min, max, step }, epoch) {
  return Math.min(max, Math.max(min, max - Math.round((max - epoch) / step) * step));
}

// The slider of one study moves that of the other. At its end it follows the study.
let sliding = false;
function slid(name, bind, value) {
  if (sliding) return;
  sliding = true;
  const epoch = value >= bind.max ? null : value;
  if (epoch !== view.epoch) {
    view.epoch = epoch;
    clearTimeout(slid.waiting);
    slid.waiting = setTimeout(() => history.replaceState(null, "", address({})), 150);
  }
  for (const other of shown().filter((one) => one !== name)) {
    const input = side(other).figure.querySelector("input[type=range]");
    if (input === null || !side(other).result) continue;
    side(other).result.view.signal("epoch", nearest(ends(input), value)).run();
  }
  sliding = false;
}

const ends = (input) => ({ min: Number(input.min), max: Number(input.max), step: Number(input.step) });

addEventListener("pointerdown", (event) => {
  if (event.target.type === "range") dragging = true;
});
for (const end of ["pointerup", "pointercancel"]) {
  addEventListener(end, () => {
    dragging = false;
  });
}

// The frame around the studies.

function show() {
  const names = shown();
  document.title = title();
  at("home").href = address({ study: null, with: null, epoch: null });
  document.querySelector("main").classList.toggle("two", names.length === 2);
  const unknown = shelf !== null && view.study !== null && !shelf.studies.some((one) => one.name === view.study);
  notice("problem", unknown ? fill(words["unknown study"], { name: view.study }) : "", true);
  for (const [name, part] of [["told", "told"], ["drawn", "drawn"], ["rest", "rest"]]) {
    const wanted = names.map((one) => side(one)[part]);
    const current = [...at(name).children];
    if (wanted.length !== current.length || wanted.some((one, i) => one !== current[i])) at(name).replaceChildren(...wanted);
  }
  for (const element of document.querySelectorAll(".whose")) element.hidden = names.length < 2;
  for (const name of [...sides.keys()]) if (!names.includes(name)) forget(name);
  showChoices(names);
  showShelf(names);
  showContrast(names);
  showCharts(names);
  delete root.dataset.drawn;
  if (shelf !== null) turn();
}

function forget(name) {
  sides.get(name).result?.finalize();
  sides.delete(name);
}

function showChoices(names) {
  const form = document.querySelector(".choices");
  form.hidden = !shelf?.folder || names.length === 0;
  if (form.hidden) return;
  const all = shelf.studies.map((one) => one.name);
  options(at("study"), [["", words["all studies"]], ...all.map((one) => [one, one])], names[0]);
  const others = all.filter((one) => one !== names[0]).map((one) => [one, one]);
  options(at("with"), [["", words["nothing to compare"]], ...others], names[1] ?? "");
}

function options(select, wanted, value) {
  const key = JSON.stringify(wanted);
  if (select.dataset.key !== key) {
    select.dataset.key = key;
    select.replaceChildren(...wanted.map(([one, text]) => made("option", { value: one }, text)));
  }
  if (select.value !== value) select.value = value;
}

function showShelf(names) {
  const section = at("shelf");
  section.hidden = shelf === null || names.length > 0;
  if (section.hidden) return;
  if (shelf.studies.length === 0) {
    section.replaceChildren(made("p", { className: "notice" }, words["no studies"]));
    return;
  }
  const head = [["name"], ["problem"], ["state"], ["progress"], ["lanes", "number lanes-of"], ["written", "when"]];
  const cells = head.map(([word, className = ""]) => made("th", { scope: "col", className }, words[word]));
  const rows = shelf.studies.map((one) => {
    const link = made("a", { href: address({ study: one.name, with: null, epoch: null }) }, one.name);
    link.dataset.study = one.name;
    const first = made("th", { scope: "row" }, one.state === "unreadable" ? one.name : link);
    const state = made("td", { className: one.state }, words[`state ${one.state}`]);
    if (one.reason) {
      return made("tr", {}, first, made("td"), state, made("td", { colSpan: 3, className: "reason" }, one.reason));
    }
    const when = one.modified ? new Date(1000 * one.modified).toLocaleString(words.language, DATE) : "";
    return made("tr", {}, first, made("td", {}, one.problem), state,
      made("td", {}, one.steps ? fill(words.of, { step: one.step.toLocaleString(words.language), steps: one.steps.toLocaleString(words.language) }) : ""),
      made("td", { className: "number lanes-of" }, one.rates ? `${one.rates}${one.seeds > 1 ? ` × ${one.seeds}` : ""}` : ""),
      made("td", { className: "when" }, when));
  });
  const table = made("table", {}, made("thead", {}, made("tr", {}, ...cells)), made("tbody", {}, ...rows));
  section.replaceChildren(made("h1", {}, words["all studies"]), made("div", { className: "table" }, table));
}

function showContrast(names) {
  const section = at("contrast");
  const [one, other] = names.map((name) => side(name).data);
  section.hidden = !(one?.results && other?.results);
  if (section.hidden) return;
  const same = one.settings.filter(([, value], i) => value === other.settings[i][1]).map(([name]) => name);
  const differing = one.settings.map((row, i) => [...row, other.settings[i][1]]).filter(([, a, b]) => a !== b);
  const results = one.results.map((row, i) => [...row, other.results[i][1]]);
  const rows = [...results, ...differing].map(([name, a, b]) =>
    made("tr", { className: a === b ? "" : "differs" },
      made("th", { scope: "row" }, name), made("td", {}, a || "–"), made("td", {}, b || "–")));
  const head = made("tr", {}, made("th"), ...names.map((name) => made("th", { scope: "col" }, name)));
  const table = made("table", {}, made("thead", {}, head), made("tbody", {}, ...rows));
  section.replaceChildren(made("h2", {}, words["side by side"]), made("div", { className: "table" }, table));
  if (same.length) section.append(made("p", { className: "same" }, fill(words["same settings"], { names: same.join(words.comma) })));
}

function showCharts(names) {
  const nav = at("charts");
  nav.hidden = !names.some((name) => side(name).data?.answer !== undefined);
  if (nav.childElementCount === 0) {
    nav.append(...charts.map(([name, text]) => {
      const link = made("a", {}, text);
      link.dataset.chart = name;
      return link;
    }));
  }
  for (const link of nav.children) {
    link.href = address({ chart: link.dataset.chart });
    if (link.dataset.chart === view.chart) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

function paint() {
  const dark = isDark();
  const button = at("theme");
  button.hidden = false;
  button.textContent = dark ? words.light : words.dark;
  button.setAttribute("aria-label", dark ? words["to light"] : words["to dark"]);
  root.dataset.theme = dark ? "dark" : "light";
}

// One round of questions after the other; none while nobody looks.

let busy = false;
let again = false;
let timer;
let looked = -Infinity;

async function turn() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  clearTimeout(timer);
  do {
    again = false;
    try {
      const running = shown().some((name) => side(name).data?.state === "running");
      if (performance.now() - looked > (running ? 4 : 0.8) * RUNNING) {
        looked = performance.now();
        await lookAtShelf();
      }
      for (const name of shown()) await follow(name);
      showContrast(shown());
      showCharts(shown());
      notice("notice", "");
    } catch (error) {
      if (error.message === "gone") looked = -Infinity;
      else if (words[error.message] !== undefined) notice("notice", words[error.message], true);
      else console.error(error);
    }
  } while (again);
  busy = false;
  const names = shown();
  const moving = names.length === 0 || names.some((name) => side(name).data?.state === "running" || side(name).data?.waiting);
  if (!document.hidden) timer = setTimeout(turn, moving ? RUNNING : RESTING);
}

document.addEventListener("visibilitychange", () => document.hidden || turn());
addEventListener("popstate", () => {
  readAddress();
  paint();
  show();
});
system.addEventListener("change", () => {
  paint();
  show();
});
at("theme").addEventListener("click", () => {
  const theme = isDark() ? "light" : "dark";
  view.theme = theme;
  paint();
  go({ theme }, { step: false });
});
at("study").addEventListener("change", (event) => go({ study: event.target.value || null, with: event.target.value ? view.with : null }));
at("with").addEventListener("change", (event) => go({ with: event.target.value || null }));
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-chart], a[data-study], #home");
  if (link === null || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (link.dataset.chart) go({ chart: link.dataset.chart });
  else if (link.dataset.study) go({ study: link.dataset.study, with: null, epoch: null });
  else go({ study: null, with: null, epoch: null });
});

let width = innerWidth;
let resized;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  clearTimeout(resized);
  resized = setTimeout(show, 200);
});

readAddress();
paint();
turn();
