// Paints a decoded row on a canvas, as an image or as bars; holds the colours of the page.

const scheme = matchMedia("(prefers-color-scheme: dark)");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);

// Ten colours. With the three shapes of map.js, colour-blind readers can tell classes apart.
const COLOURS = {
  light: ["#b87a00", "#2f9bd6", "#00805c", "#c9b400", "#1f4fa8", "#c24a00", "#b84f8c", "#2b2523",
    "#6b3fc4", "#8c8580"],
  dark: ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#4a7fd8", "#d55e00", "#cc79a7", "#f4ece6",
    "#a06bff", "#8c8580"],
};
const PAPER = "#fdfbf9", ABOVE = "#b3301b", BELOW = "#5d5552"; // bars on white paper
const classColour = (index) => COLOURS[scheme.matches ? "dark" : "light"][index % 10];

// Viridis. scaleColour omits the end that is too close to the background.
const VIRIDIS = [[68, 1, 84], [70, 50, 127], [54, 92, 141], [39, 127, 142], [31, 161, 135],
  [74, 194, 109], [159, 218, 58], [253, 231, 37]];
function scaleColour(share) {
  const place = (scheme.matches ? 1.2 + 5.8 * share : 6.2 * share);
  const at = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return `rgb(${mix(VIRIDIS[at], VIRIDIS[at + 1], place - at).map(Math.round).join(" ")})`;
}

const isImage = model.kind === "image";
const [height, width, channels = 1] = isImage ? model.shape : [3, 4];
const ratio = width / height;

// Sets the canvas to the pixels of the image, or to the given size for bars.
function paint(canvas, values, bars = { width: 120, height: 90 }) {
  if (isImage) paintImage(canvas, values);
  else paintBars(canvas, values, bars);
}

function paintImage(canvas, values) {
  if (canvas.width !== width || canvas.height !== height) {
    Object.assign(canvas, { width, height });
  }
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const [low, high] = model.range, scale = 255 / (high - low);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let c = 0; c < 4; c++) {
      const channel = channels === 1 && c < 3 ? 0 : c; // grey sets all three colours
      image.data[4 * pixel + c] = channel < channels // the array clamps and rounds
        ? (values[pixel * channels + channel] - low) * scale : 255;
    }
  }
  context.putImageData(image, 0, 0);
}

function shortened(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let length = text.length - 1;
  const cut = () => `${text.slice(0, length)}\u2026`;
  while (length > 1 && context.measureText(cut()).width > room) length -= 1;
  return cut();
}

// Draws one bar for each feature, from zero, with its name below if there is room.
function paintBars(canvas, values, size) {
  Object.assign(canvas, size);
  const context = canvas.getContext("2d"), [low, high] = model.range;
  const step = size.width / values.length;
  const names = size.font && step > size.font ? model.columns : null;
  const room = names ? 0.4 * size.height : 2;
  const bottom = size.height - room;
  const share = (value) => Math.min(Math.max((value - low) / (high - low), 0), 1);
  const y = (value) => bottom - (bottom - 2) * share(value);
  context.fillStyle = PAPER;
  context.fillRect(0, 0, size.width, size.height);
  values.forEach((value, i) => {
    context.fillStyle = value < 0 ? BELOW : ABOVE;
    const gap = Math.min(step * 0.2, 6);
    const top = Math.min(y(value), y(0));
    context.fillRect(i * step + gap / 2, top, step - gap, Math.max(Math.abs(y(value) - y(0)), 1));
  });
  context.fillStyle = BELOW;
  context.fillRect(0, y(0), size.width, 1);
  if (!names) return;
  context.font = `${size.font}px system-ui, sans-serif`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  names.forEach((name, i) => {
    context.save();
    context.translate((i + 0.5) * step, bottom + size.font / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(shortened(context, name, room - size.font), 0, 0);
    context.restore();
  });
}

// Paints a code as a small picture.
function thumbnail(canvas, code) {
  paint(canvas, decode(code));
  return canvas;
}
