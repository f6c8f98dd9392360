// The state of the page: the kept code and the hovered code. The picture and the map follow them.

const byId = (id) => document.getElementById(id);
const followers = []; // functions that each frame calls with the shown code
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

let kept = floats(model.start);
let hovered = null; // the code under a pointer that is not pressed
let note = ""; // remark on the shown code, such as a point's label
let keptNote = "";
let frameRequested = false;

// Keeps a code. `source` names the control that set it, so that the other controls can reset.
function keep(code, source, remark = "") {
  kept = Float32Array.from(code);
  hovered = null;
  note = keptNote = remark;
  for (const onKeep of keep.listeners) onKeep(source);
  refresh();
}
keep.listeners = [];

function hover(code, remark = "") {
  hovered = code;
  note = code ? remark : keptNote;
  refresh();
}

function refresh() {
  if (frameRequested) return;
  frameRequested = true;
  requestAnimationFrame(() => {
    frameRequested = false;
    render();
  });
}

function render() {
  const code = hovered || kept;
  paint(byId("picture"), decode(code), barSize());
  const place = project(code).map((value) => value.toFixed(2).replace("-", "\u2212"));
  model.map.names.forEach((_, i) => { byId("place").children[2 * i + 1].textContent = place[i]; });
  byId("note").textContent = note;
  drawOverlay(kept, hovered, morphEnds());
  drawPictures(kept);
  followers.forEach((follow) => follow(code));
}

function announce(text) {
  byId("status").textContent = text;
}

// ---------------------------------------------------------------- the picture's size

// Makes the picture as large as its caption allows, and on a phone as the map allows.
function sizePicture() {
  const small = innerWidth <= 820;
  const room = small ? 132 : Math.min(byId("print").clientWidth * 0.54, innerHeight * 0.36, 300);
  const scale = Math.min(room / width, room / height);
  const canvas = byId("picture");
  canvas.style.width = `${Math.round(width * scale)}px`;
  canvas.style.height = `${Math.round(height * scale)}px`;
}

function barSize() {
  const { clientWidth, clientHeight } = byId("picture");
  const pixels = devicePixelRatio || 1;
  return { width: clientWidth * pixels, height: clientHeight * pixels, font: 11 * pixels };
}

// Fades the picture in.
function fadeIn() {
  const section = byId("print");
  section.classList.remove("developing");
  void section.offsetWidth; // the forced layout restarts the animation
  section.classList.add("developing");
}

// ---------------------------------------------------------------- the map's pointer

const onMap = (value) => Math.min(Math.max(value, -half), half); // a drag may leave the map

function underPointer(event) {
  const box = overlay.getBoundingClientRect();
  const [u, v] = toPlane(event.clientX - box.left, event.clientY - box.top);
  const point = byId("snap").checked ? nearestPoint(u, v) : -1;
  if (point >= 0) return [pointCode(point), describePoint(point)];
  return [moveInPlane(kept, onMap(u), onMap(v)), ""];
}

overlay.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  overlay.setPointerCapture(event.pointerId);
  const [code, remark] = underPointer(event);
  keep(code, "map", remark);
});
overlay.addEventListener("pointermove", (event) => {
  const [code, remark] = underPointer(event);
  if (event.buttons & 1) keep(code, "map", remark);
  else if (!isPlaying()) hover(code, remark);
});
overlay.addEventListener("pointerleave", () => hover(null));

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
overlay.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const step = STEPS[event.key];
  if (!step && event.key !== "Home") return;
  event.preventDefault();
  const [u, v] = project(kept), size = half / (event.shiftKey ? 8 : 40);
  if (step) keep(moveInPlane(kept, onMap(u + size * step[0]), onMap(v + size * step[1])), "map");
  else keep(moveInPlane(kept, 0, 0), "map");
  const [across, up] = project(kept).map((value) => value.toFixed(2));
  announce(`Across ${across}, up ${up}`);
});

byId("random").addEventListener("click", () => {
  keep(randomCode(), "random", "Drawn at random");
  fadeIn();
  announce("The picture was drawn at random");
});
byId("centre").addEventListener("click", () => {
  keep(floats(model.centre), "centre");
  fadeIn();
  announce("The picture is at the middle of the latent space");
});

// ---------------------------------------------------------------- the map's content

for (const id of ["show-points", "show-pictures"]) {
  byId(id).addEventListener("change", () => {
    pictures.plane = null;
    drawGround();
    refresh();
  });
}

function drawSwatch(canvas, index) {
  const pixels = devicePixelRatio || 1;
  canvas.width = canvas.height = 14 * pixels;
  const context = canvas.getContext("2d");
  context.scale(pixels, pixels);
  context.fillStyle = classColour(index);
  mark(context, index, 7, 7, 5);
}

function buildLegend() {
  const legend = byId("legend");
  legend.replaceChildren();
  legend.hidden = !labels;
  if (classOf) labels.names.forEach((name, index) => {
    const button = document.createElement("button"), swatch = document.createElement("canvas");
    button.type = "button";
    button.setAttribute("aria-pressed", chosenClasses.has(index));
    drawSwatch(swatch, index);
    button.append(swatch, name);
    button.addEventListener("click", () => {
      if (!chosenClasses.delete(index)) chosenClasses.add(index);
      button.setAttribute("aria-pressed", chosenClasses.has(index));
      drawGround();
    });
    legend.append(button);
  });
  if (valueOf) {
    legend.setAttribute("aria-label", "Labels");
    const scale = document.createElement("div"), ramp = document.createElement("canvas");
    scale.className = "scale";
    Object.assign(ramp, { width: 160, height: 1 });
    const context = ramp.getContext("2d");
    for (let x = 0; x < 160; x++) {
      context.fillStyle = scaleColour(x / 159);
      context.fillRect(x, 0, 1, 1);
    }
    const text = (value) => String(Number(value.toPrecision(4)));
    scale.append(text(labels.low), ramp, text(labels.high));
    legend.append(scale);
  }
}

function drawAll() {
  sizePicture();
  buildLegend();
  drawGround();
  pictures.plane = null;
  redrawTools();
  refresh();
}

byId("show-points").checked = Boolean(points);
byId("show-pictures").checked = !points;
byId("points-label").hidden = byId("snap-label").hidden = !points;
for (const name of model.map.names) {
  const term = document.createElement("dt"), value = document.createElement("dd");
  term.textContent = name;
  byId("place").append(term, value);
}
byId("axis-x").textContent = `Across: ${model.map.names[0]}`;
byId("axis-y").textContent = model.latent_dim === 1 ? "" : `Up: ${model.map.names[1]}`;
