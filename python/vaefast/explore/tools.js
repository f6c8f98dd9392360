// The tools: sliders for dimensions and directions, the morph, breeding; and the start of the page.

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
  refresh(); // the map shows A and B while the morph tab is open
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
  // With step "any", the browser's own steps are too coarse.
  input.addEventListener("keydown", (event) => {
    const sign = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!sign) return;
    event.preventDefault();
    input.value = Number(input.value) + sign * limit / (event.shiftKey ? 8 : 40);
    input.dispatchEvent(new Event("input"));
  });
  return { box, input, output };
}

const FIRST = 8; // sliders that are shown at first
const dimensions = model.order.map((dimension) => {
  const isWeak = model.strength[dimension] < 0.02 * Math.max(...model.strength);
  const remark = isWeak ? "hardly any effect" : "";
  const control = slider(`z${dimension}`, `Dimension ${dimension + 1}`, remark, model.limit);
  control.input.addEventListener("input", () => {
    const code = kept.slice();
    code[dimension] = Number(control.input.value);
    keep(code, "dimension");
  });
  byId("dimension-sliders").append(control.box);
  return { dimension, ...control };
});

function showDimensions(all) {
  dimensions.forEach(({ box }, rank) => { box.hidden = !all && rank >= FIRST; });
  byId("more").setAttribute("aria-expanded", all);
  byId("more").textContent = all ? `Show the first ${FIRST}`
    : `Show all ${dimensions.length}`;
}
byId("more").hidden = dimensions.length <= FIRST;
byId("order-text").hidden = dimensions.length === 1;
byId("more").addEventListener("click", () => {
  showDimensions(byId("more").getAttribute("aria-expanded") !== "true");
});

followers.push((code) => {
  for (const { dimension, input, output } of dimensions) {
    const distance = Math.abs(code[dimension]);
    if (distance > input.max) { // a child or a random code may lie beyond the slider's end
      input.max = Math.ceil(distance);
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
  const control = slider(`direction${i}`, name, "", 3);
  let current = 0;
  control.input.value = 0;
  control.output.textContent = show(0);
  control.input.addEventListener("input", () => {
    const target = Number(control.input.value);
    const code = kept.map((value, d) => value + (target - current) * vector[d]);
    current = target;
    control.output.textContent = control.input.ariaValueText = show(target);
    keep(code, "direction", keptNote);
  });
  byId("direction-sliders").append(control.box);
  return () => {
    control.input.value = current = 0;
    control.output.textContent = show(0);
  };
});
// The sliders return to 0 when another control changes the picture.
keep.listeners.push((source) => source !== "direction" && directions.forEach((reset) => reset()));
byId("tab-directions").hidden = !directions.length;

// ---------------------------------------------------------------- morph

const FRAMES = 9, SECONDS = 4; // frames and duration from A to B
const ends = { a: kept, b: points ? farPoint(kept) : randomCode() };
let position = 0, sign = 1, last = 0, playing = false;

// Returns the code of the farthest of the first 40 points.
function farPoint(code) {
  const codes = Array.from({ length: Math.min(points.n, 40) }, (_, i) => pointCode(i));
  const distance = (other) => Math.hypot(...other.map((value, i) => value - code[i]));
  return codes.reduce((far, other) => (distance(other) > distance(far) ? other : far));
}

const isPlaying = () => playing;
const morphEnds = () => (byId("morph").hidden ? null : [ends.a, ends.b]);

const frames = Array.from({ length: FRAMES }, (_, i) => {
  const button = document.createElement("button"), canvas = document.createElement("canvas");
  const percent = Math.round(i / (FRAMES - 1) * 100);
  button.type = "button";
  button.setAttribute("aria-label", `Frame ${i + 1} of ${FRAMES}: ${percent} % of B`);
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
  position = share;
  byId("morph-at").value = position;
  frames.forEach(({ button }, i) => {
    button.setAttribute("aria-current", i === Math.round(position * (FRAMES - 1)));
  });
  const percent = Math.round(position * 100);
  keep(mix(ends.a, ends.b, position), "morph", `${percent} % from A to B`);
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

// Plays the morph from A to B and back at a constant speed.
function tick(now) {
  if (!playing) return;
  const moved = position + sign * Math.max(now - last, 0) / 1000 / SECONDS;
  last = now;
  if (moved >= 1) sign = -1;
  if (moved <= 0) sign = 1;
  moveTo(Math.min(Math.max(moved, 0), 1));
  requestAnimationFrame(tick);
}

keep.listeners.push((source) => source !== "morph" && playing && pause());
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
let generation = 0, children = [];
const parents = new Set();

const childTiles = Array.from({ length: CHILDREN }, (_, i) => {
  const button = document.createElement("button"), canvas = document.createElement("canvas");
  button.type = "button";
  button.append(canvas);
  button.addEventListener("click", () => {
    if (!parents.delete(i)) {
      parents.add(i);
      keep(children[i], "breed", `Generation ${generation}, picture ${i + 1}`);
    }
    drawParents();
  });
  byId("children").append(button);
  return { button, canvas };
});

function drawParents() {
  childTiles.forEach(({ button }, i) => {
    button.setAttribute("aria-label", `Picture ${i + 1} of generation ${generation}`);
    button.setAttribute("aria-pressed", parents.has(i));
  });
  byId("next").disabled = !parents.size;
  const chosen = parents.size === 1 ? "1 parent" : `${parents.size} parents`;
  byId("breed-text").textContent = `Generation ${generation}. `
    + (parents.size ? `You picked ${chosen}. Breed them, or pick more.`
      : "Pick the pictures that you like. A child takes each number of its code from one of two "
        + "parents, and then mutates.");
}

function showGeneration(codes) {
  children = codes;
  generation += 1;
  parents.clear();
  drawChildren();
  drawParents();
  announce(`Generation ${generation} has ${CHILDREN} pictures`);
}

function drawChildren() {
  children.forEach((code, i) => thumbnail(childTiles[i].canvas, code));
}

// Takes each number from one of two parents and mutates it. A mutation keeps the standard normal
// distribution of a code from the prior.
function child() {
  const chosen = [...parents], mutation = Number(byId("mutation").value);
  const first = Math.floor(Math.random() * chosen.length);
  const second = (first + 1 + Math.floor(Math.random() * (chosen.length - 1))) % chosen.length;
  return children[chosen[first]].map((value, d) => {
    const inherited = Math.random() < 0.5 ? value : children[chosen[second]][d];
    return Math.sqrt(1 - mutation ** 2) * inherited + mutation * normal();
  });
}

function startBreeding() {
  generation = 0;
  showGeneration(Array.from({ length: CHILDREN }, randomCode));
}

byId("next").addEventListener("click", () => {
  showGeneration(Array.from({ length: CHILDREN }, child));
});
byId("restart").addEventListener("click", startBreeding);
byId("mutation").addEventListener("input", showMutation);
function showMutation() {
  byId("mutation-value").textContent = Number(byId("mutation").value).toFixed(2);
}

// ---------------------------------------------------------------- start

function redrawTools() {
  drawStrip();
  drawChildren();
}

showDimensions(false);
showMutation();
openTab(tabs[0]);
startBreeding();
drawAll();
scheme.addEventListener("change", drawAll);
let drawnWidth = innerWidth;
// Only a new width redraws the page: on a phone, scrolling changes the height.
addEventListener("resize", () => {
  if (innerWidth !== drawnWidth) drawAll();
  drawnWidth = innerWidth;
});
