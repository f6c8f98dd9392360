// The tools: a slider for each dimension and direction, the morph, the breeding; then the start.

const show = (value) => value.toFixed(2).replace("-", "\u2212");

// ---------------------------------------------------------------- tabs

const tabs = [...document.querySelectorAll("[role=tab]")];

function openTab(tab) {
  for (const other of tabs) {
    const open = other === tab;
    other.setAttribute("aria-selected", open);
    other.tabIndex = open ? 0 : -1;
    byId(other.getAttribute("aria-controls")).hidden = !open;
  }
  refresh(); // the map shows the ends of an open morph
}
tabs.forEach((tab) => {
  tab.addEventListener("click", () => openTab(tab));
  tab.addEventListener("keydown", (event) => {
    const shown = tabs.filter((other) => !other.hidden), at = shown.indexOf(tab);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = shown.at(to % shown.length);
    openTab(next);
    next.focus();
  });
});

// ---------------------------------------------------------------- sliders

function slider(id, name, remark, limit) {
  const box = document.createElement("div"), label = document.createElement("label");
  const input = document.createElement("input"), output = document.createElement("output");
  box.className = "slider";
  Object.assign(input, { type: "range", id, min: -limit, max: limit, step: "any" });
  label.htmlFor = output.htmlFor = id;
  label.textContent = name;
  if (remark) {
    const small = document.createElement("small");
    small.textContent = ` ${remark}`;
    label.append(small);
  }
  box.append(label, output, input);
  input.addEventListener("keydown", (event) => { // with step "any" a browser's own step is coarse
    const way = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    input.value = Number(input.value) + way * limit / (event.shiftKey ? 8 : 40);
    input.dispatchEvent(new Event("input"));
  });
  return { box, input, output };
}

const FIRST = 8; // sliders that are shown at once
const dimensions = model.order.map((dimension) => {
  const dead = model.strength[dimension] < 0.02 * Math.max(...model.strength);
  const remark = dead ? "hardly any effect" : "";
  const made = slider(`z${dimension}`, `Dimension ${dimension + 1}`, remark, model.limit);
  made.input.addEventListener("input", () => {
    const code = kept.slice();
    code[dimension] = Number(made.input.value);
    keep(code, "dimension");
  });
  byId("dimension-sliders").append(made.box);
  return { dimension, ...made };
});

function showDimensions(all) {
  dimensions.forEach(({ box }, rank) => { box.hidden = !all && rank >= FIRST; });
  byId("more").setAttribute("aria-expanded", all);
  byId("more").textContent = all ? `Only the first ${FIRST}` : `All ${dimensions.length}`;
}
byId("more").hidden = dimensions.length <= FIRST;
byId("order-text").hidden = dimensions.length === 1;
byId("more").addEventListener("click", () => {
  showDimensions(byId("more").getAttribute("aria-expanded") !== "true");
});

followers.push((code) => {
  for (const { dimension, input, output } of dimensions) {
    const away = Math.abs(code[dimension]);
    if (away > input.max) { // a child, or a draw, further out than the slider goes
      input.max = Math.ceil(away);
      input.min = -input.max;
    }
    if (document.activeElement !== input || Math.abs(input.value - code[dimension]) > 1e-6) {
      input.value = code[dimension];
    }
    output.textContent = input.ariaValueText = show(code[dimension]);
  }
});

// ---------------------------------------------------------------- directions

const directions = model.directions.map(({ name, vector }, i) => {
  const made = slider(`direction${i}`, name, "", 3);
  let pushed = 0;
  made.input.value = 0;
  made.output.textContent = show(0);
  made.input.addEventListener("input", () => {
    const to = Number(made.input.value);
    const code = kept.map((value, d) => value + (to - pushed) * vector[d]);
    pushed = to;
    made.output.textContent = made.input.ariaValueText = show(to);
    keep(code, "direction", keptNote);
  });
  byId("direction-sliders").append(made.box);
  return () => {
    made.input.value = pushed = 0;
    made.output.textContent = show(0);
  };
});
// another picture starts unpushed
keep.stops.push((by) => by !== "direction" && directions.forEach((reset) => reset()));
byId("tab-directions").hidden = !directions.length;

// ---------------------------------------------------------------- morph

const FRAMES = 9, SECONDS = 4; // from A to B
const ends = { a: kept, b: points ? unlike(kept) : randomCode() };
let at = 0, way = 1, last = 0, playing = false;

// of a few points the one farthest away
function unlike(code) {
  const few = Array.from({ length: Math.min(points.n, 40) }, (_, i) => pointCode(i));
  const distance = (other) => Math.hypot(...other.map((value, i) => value - code[i]));
  return few.reduce((best, other) => (distance(other) > distance(best) ? other : best));
}

const isPlaying = () => playing;
const morphEnds = () => (byId("morph").hidden ? null : [ends.a, ends.b]);

const frames = Array.from({ length: FRAMES }, (_, i) => {
  const button = document.createElement("button"), canvas = document.createElement("canvas");
  const percent = Math.round(i / (FRAMES - 1) * 100);
  button.type = "button";
  button.setAttribute("aria-label", `Frame ${i + 1} of ${FRAMES}: ${percent} % B`);
  button.append(canvas);
  button.addEventListener("click", () => {
    pause();
    moveTo(i / (FRAMES - 1));
  });
  byId("strip").append(button);
  return { button, canvas };
});

function drawStrip() {
  thumbnail(byId("morph-a"), ends.a);
  thumbnail(byId("morph-b"), ends.b);
  frames.forEach(({ canvas }, i) => thumbnail(canvas, mix(ends.a, ends.b, i / (FRAMES - 1))));
}

function moveTo(share) {
  at = share;
  byId("morph-at").value = at;
  frames.forEach(({ button }, i) => {
    button.setAttribute("aria-current", i === Math.round(at * (FRAMES - 1)));
  });
  keep(mix(ends.a, ends.b, at), "morph", `${Math.round(at * 100)} % from A to B`);
}

function pause() {
  playing = false;
  byId("play").textContent = "Play";
  byId("play").setAttribute("aria-pressed", false);
}

function play() {
  playing = true;
  last = performance.now();
  byId("play").textContent = "Pause";
  byId("play").setAttribute("aria-pressed", true);
  requestAnimationFrame(tick);
}

// to and fro, slower at the ends
function tick(now) {
  if (!playing) return;
  const moved = at + way * Math.max(now - last, 0) / 1000 / SECONDS;
  last = now;
  if (moved >= 1) way = -1;
  if (moved <= 0) way = 1;
  moveTo(Math.min(Math.max(moved, 0), 1));
  requestAnimationFrame(tick);
}

keep.stops.push((by) => by !== "morph" && playing && pause());
byId("play").addEventListener("click", () => (playing ? pause() : play()));
byId("morph-at").addEventListener("input", (event) => {
  pause();
  moveTo(Number(event.target.value));
});
for (const end of ["a", "b"]) {
  byId(`set-${end}`).addEventListener("click", () => {
    pause();
    ends[end] = kept.slice();
    drawStrip();
    refresh();
    announce(`${end.toUpperCase()} is now the kept picture`);
  });
}

// ---------------------------------------------------------------- breed

const CHILDREN = 12;
let generation = 0, litter = [];
const parents = new Set();

const cots = Array.from({ length: CHILDREN }, (_, i) => {
  const button = document.createElement("button"), canvas = document.createElement("canvas");
  button.type = "button";
  button.append(canvas);
  button.addEventListener("click", () => {
    if (!parents.delete(i)) {
      parents.add(i);
      keep(litter[i], "breed", `Generation ${generation}, picture ${i + 1}`);
    }
    drawParents();
  });
  byId("children").append(button);
  return { button, canvas };
});

function drawParents() {
  cots.forEach(({ button }, i) => {
    button.setAttribute("aria-label", `Picture ${i + 1} of generation ${generation}`);
    button.setAttribute("aria-pressed", parents.has(i));
  });
  byId("next").disabled = !parents.size;
  const chosen = parents.size === 1 ? "1 parent" : `${parents.size} parents`;
  byId("breed-text").textContent = `Generation ${generation}. `
    + (parents.size ? `${chosen} picked: breed, or pick more.`
      : "Pick the pictures that you like. A child takes each number of its code from one of two "
        + "parents, and mutates.");
}

function born(codes) {
  litter = codes;
  generation += 1;
  parents.clear();
  drawLitter();
  drawParents();
  announce(`Generation ${generation} is here: ${CHILDREN} pictures`);
}

function drawLitter() {
  litter.forEach((code, i) => thumbnail(cots[i].canvas, code));
}

// Each number from one of two parents; then a mutation that leaves a code of the prior's kind one.
function child() {
  const chosen = [...parents], mutation = Number(byId("mutation").value);
  const mother = Math.floor(Math.random() * chosen.length);
  const father = (mother + 1 + Math.floor(Math.random() * (chosen.length - 1))) % chosen.length;
  return litter[chosen[mother]].map((value, d) => {
    const inherited = Math.random() < 0.5 ? value : litter[chosen[father]][d];
    return Math.sqrt(1 - mutation ** 2) * inherited + mutation * normal();
  });
}

function startBreeding() {
  generation = 0;
  born(Array.from({ length: CHILDREN }, randomCode));
}

byId("next").addEventListener("click", () => born(Array.from({ length: CHILDREN }, child)));
byId("restart").addEventListener("click", startBreeding);
byId("mutation").addEventListener("input", showMutation);
function showMutation() {
  byId("mutation-value").textContent = Number(byId("mutation").value).toFixed(2);
}

// ---------------------------------------------------------------- start

function redrawTools() {
  drawStrip();
  drawLitter();
}

showDimensions(false);
showMutation();
openTab(tabs[0]);
startBreeding();
drawAll();
scheme.addEventListener("change", drawAll);
let laidWidth = innerWidth;
addEventListener("resize", () => { // on a phone the height changes while one scrolls
  if (innerWidth !== laidWidth) drawAll();
  laidWidth = innerWidth;
});
