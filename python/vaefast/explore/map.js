// The map: a plane through the latent space, with points, pictures and the pointer.

const ground = document.getElementById("ground"), overlay = document.getElementById("pointer");
const { centre, axes, half } = model.map;
const points = model.points && { ...model.points, codes: floats(model.points.codes) };
const chosenClasses = new Set(); // an empty set shows all classes
const GRID = 13; // pictures along each side of the map

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const pointCode = (i) => points.codes.slice(i * model.latent_dim, (i + 1) * model.latent_dim);
// Returns the (u, v) of a code in the plane.
const project = (code) => axes.map((axis) => dot(axis, code) - dot(axis, centre));
// Moves a code to (u, v) within the plane. Its component outside the plane stays as it is.
function moveInPlane(code, u, v) {
  const [u0, v0] = project(code);
  return code.map((value, i) => value + (u - u0) * axes[0][i] + (v - v0) * axes[1][i]);
}
const places = points && Array.from({ length: points.n }, (_, i) => {
  const [u, v] = project(pointCode(i));
  // With one latent dimension the height is free, so points are spread to avoid overlaps.
  return [u, model.latent_dim === 1 ? half * 0.6 * (((i * 0.618034) % 1) - 0.5) : v];
});

let side = 0; // side of the map, in CSS pixels
const toPixel = ([u, v]) => [(u / half + 1) * side / 2, (1 - v / half) * side / 2];
const toPlane = (x, y) => [(2 * x / side - 1) * half, (1 - 2 * y / side) * half];

function nearestPoint(u, v) {
  let nearest = -1, least = Infinity;
  places.forEach(([pu, pv], i) => {
    const distance = (pu - u) ** 2 + (pv - v) ** 2;
    if (distance < least && isShown(i)) [nearest, least] = [i, distance];
  });
  return nearest;
}

// Fits a canvas to its size on the screen, clears it and returns its context.
function cleared(canvas) {
  const pixels = devicePixelRatio || 1;
  side = canvas.clientWidth;
  const needed = Math.round(side * pixels);
  if (canvas.width !== needed) canvas.width = canvas.height = needed;
  const context = canvas.getContext("2d");
  context.setTransform(pixels, 0, 0, pixels, 0, 0);
  context.clearRect(0, 0, side, side);
  return context;
}

// Classes take a circle, a square or a triangle in turn, so shape and colour identify them.
function mark(context, index, x, y, radius) {
  context.beginPath();
  if (index % 3 === 0) context.arc(x, y, radius, 0, 2 * Math.PI);
  else if (index % 3 === 1) {
    const half = 0.88 * radius;
    context.rect(x - half, y - half, 2 * half, 2 * half);
  } else {
    context.moveTo(x, y - radius * 1.25);
    context.lineTo(x + radius * 1.15, y + radius * 0.85);
    context.lineTo(x - radius * 1.15, y + radius * 0.85);
  }
  context.fill();
}

const labels = points && points.labels;
const classOf = labels && labels.index && bytes(labels.index);
const valueOf = labels && labels.values && floats(labels.values);
const isShown = (i) => !chosenClasses.size || chosenClasses.has(classOf[i]);
function describePoint(i) {
  if (classOf) return `A point labelled ${labels.names[classOf[i]]}`;
  if (valueOf) return `A point labelled ${Number(valueOf[i].toPrecision(4))}`;
  return `Point ${i + 1}`;
}

function drawGround() {
  const context = cleared(ground);
  const withPictures = document.getElementById("show-pictures").checked;
  if (withPictures && pictures.sheet) context.drawImage(pictures.sheet, 0, 0, side, side);
  drawRings(context, withPictures);
  if (points && document.getElementById("show-points").checked) drawPoints(context, withPictures);
}

// Draws circles of one, two and three standard deviations of the prior around its mean.
function drawRings(context, withPictures) {
  const [x, y] = toPixel(project(new Float32Array(model.latent_dim)));
  context.strokeStyle = withPictures ? "rgb(128 128 128 / 0.5)" : colour("line");
  context.lineWidth = 1;
  context.setLineDash([3, 4]);
  for (const radius of [1, 2, 3]) {
    context.beginPath();
    context.arc(x, y, radius / half * side / 2, 0, 2 * Math.PI);
    context.stroke();
  }
  context.setLineDash([]);
}

function drawPoints(context, withPictures) {
  const radius = Math.min(Math.max(side / 170, 2.2), 4) * (points.n > 1200 ? 0.8 : 1);
  const draw = (i, fill) => {
    const [x, y] = toPixel(places[i]);
    context.fillStyle = fill;
    mark(context, classOf ? classOf[i] : 0, x, y, radius);
    if (withPictures) context.stroke(); // visible on black and on white
  };
  context.lineWidth = 0.75;
  context.strokeStyle = "#ffffff";
  const { low, high } = labels || {};
  for (let i = 0; i < points.n; i++) {
    context.globalAlpha = !isShown(i) ? 0.07 : withPictures ? 0.75 : 0.85;
    if (classOf) draw(i, classColour(classOf[i]));
    else if (!valueOf) draw(i, colour("accent"));
    else if (Number.isNaN(valueOf[i])) draw(i, colour("soft"));
    else draw(i, scaleColour((valueOf[i] - low) / (high - low)));
  }
  context.globalAlpha = 1;
}

// Pictures cover the plane. A slider can move the plane, so each frame draws only a part of them.
const pictures = { sheet: null, plane: null, task: 0 };
function drawPictures(code) {
  if (!document.getElementById("show-pictures").checked) return;
  const plane = Array.from(moveInPlane(code, 0, 0)); // the point that identifies the plane
  const isSame = (value, i) => Math.abs(value - pictures.plane[i]) < 1e-3;
  if (pictures.plane && plane.every(isSame)) return;
  pictures.plane = plane;
  cancelAnimationFrame(pictures.task);
  const tile = document.createElement("canvas"), next = document.createElement("canvas");
  const cell = Math.ceil(ground.width / GRID);
  next.width = next.height = cell * GRID;
  const context = next.getContext("2d");
  let index = 0;
  const drawSome = () => {
    const end = performance.now() + 8; // 8 ms are half a frame at 60 Hz
    while (index < GRID * GRID && performance.now() < end) {
      const column = index % GRID, row = Math.floor(index / GRID);
      const u = ((column + 0.5) / GRID * 2 - 1) * half, v = (1 - (row + 0.5) / GRID * 2) * half;
      thumbnail(tile, moveInPlane(code, u, v));
      const w = ratio < 1 ? cell * ratio : cell, h = ratio < 1 ? cell : cell / ratio;
      context.drawImage(tile, column * cell + (cell - w) / 2, row * cell + (cell - h) / 2, w, h);
      index += 1;
    }
    if (index < GRID * GRID) pictures.task = requestAnimationFrame(drawSome);
    else {
      pictures.sheet = next;
      drawGround();
    }
  };
  drawSome();
}

// Draws the kept code, the hovered code and the line from A to B.
function drawOverlay(kept, hovered, ends) {
  const context = cleared(overlay);
  const outlined = (draw) => {
    for (const [lineWidth, strokeStyle] of [[4, colour("ground")], [2, colour("accent")]]) {
      Object.assign(context, { lineWidth, strokeStyle });
      draw();
    }
  };
  if (ends) {
    const [[ax, ay], [bx, by]] = ends.map((code) => toPixel(project(code)));
    outlined(() => {
      context.beginPath();
      context.moveTo(ax, ay);
      context.lineTo(bx, by);
      context.stroke();
    });
    context.font = "600 13px system-ui, sans-serif";
    for (const [name, x, y] of [["A", ax, ay], ["B", bx, by]]) {
      context.fillStyle = colour("accent");
      context.beginPath();
      context.arc(x, y, 9, 0, 2 * Math.PI);
      context.fill();
      context.fillStyle = colour("on-accent");
      Object.assign(context, { textAlign: "center", textBaseline: "middle" });
      context.fillText(name, x, y + 0.5);
    }
  }
  const [x, y] = toPixel(project(kept));
  outlined(() => {
    context.beginPath();
    context.arc(x, y, 8, 0, 2 * Math.PI);
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 5 * dx, y + 5 * dy);
      context.lineTo(x + 14 * dx, y + 14 * dy);
    }
    context.stroke();
  });
  if (!hovered) return;
  const [hx, hy] = toPixel(project(hovered));
  outlined(() => {
    context.beginPath();
    context.arc(hx, hy, 5, 0, 2 * Math.PI);
    context.stroke();
  });
}
