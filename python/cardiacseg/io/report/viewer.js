// Draws slices and their contours. Lengths in a slice are mm from the image's corner; contours are in tenths of a mm.
const data = JSON.parse(document.getElementById("data").textContent);
const canvas = document.getElementById("canvas");
const state = {
  phase: data.first_phase, slice: data.first_slice, playing: false, speed: 1,
  view: "one", field: false, shown: new Set(["RV", "MYO", "LV"]),
};
const pictures = { heart: loadSheets(data.heart), field: loadSheets(data.field) };
const paths = new Map();

function loadSheets(sheets) {
  return sheets.urls.map((url) => {
    const image = new Image();
    image.src = url;
    image.decode().then(() => draw(), () => document.body.dataset.failed = "a picture");
    return image;
  });
}

function contourPath(structure, phase, slice) {
  const key = `${structure} ${phase} ${slice}`;
  if (!paths.has(key)) {
    const path = new Path2D();
    for (const line of data.contours[structure][phase][slice]) {
      let x = line[0], y = line[1];
      path.moveTo(x, y);
      for (let index = 2; index < line.length; index += 2) {
        x += line[index];
        y += line[index + 1];
        path.lineTo(x, y);
      }
      path.closePath();
    }
    paths.set(key, path);
  }
  return paths.get(key);
}

function sheets() {
  return state.field ? data.field : data.heart;
}

// Where the slice lies on the canvas within a cell: its corner, and pixels for each mm.
function placed(cell) {
  const { width, height } = sheets();
  const scale = Math.min(cell.width / width, cell.height / height);
  return { x: cell.x + (cell.width - width * scale) / 2, y: cell.y + (cell.height - height * scale) / 2, scale };
}

function drawPicture(context, cell, slice) {
  const { width, height, tile_width, tile_height, columns } = sheets();
  const image = pictures[state.field ? "field" : "heart"][slice];
  if (!image.complete || image.naturalWidth === 0) return;
  const { x, y, scale } = placed(cell);
  const left = state.phase % columns * tile_width, top = Math.floor(state.phase / columns) * tile_height;
  context.imageSmoothingQuality = "high";
  context.drawImage(image, left, top, tile_width, tile_height, x, y, width * scale, height * scale);
}

function drawContours(context, cell, slice, thickness) {
  const { left, top, width, height } = sheets();
  const { x, y, scale } = placed(cell);
  context.save();
  context.beginPath();
  context.rect(x, y, width * scale, height * scale);
  context.clip();
  context.translate(x - left * scale, y - top * scale);
  context.scale(scale / 10, scale / 10);
  context.lineWidth = thickness * 10 / scale;
  context.lineJoin = "round";
  for (const structure of ["RV", "MYO", "LV"]) {
    if (!state.shown.has(structure)) continue;
    context.strokeStyle = data.colors[structure];
    context.stroke(contourPath(structure, state.phase, slice));
  }
  context.restore();
}

// The cells of the view: one, or a grid of all slices in as many columns as make them largest.
function cells(width, height) {
  if (state.view === "one") return [{ slice: state.slice, x: 0, y: 0, width, height }];
  const aspect = sheets().width / sheets().height;
  let best = { size: 0 };
  for (let columns = 1; columns <= data.slices; columns++) {
    const rows = Math.ceil(data.slices / columns);
    const size = Math.min(width / columns, height / rows * aspect);
    if (size > best.size) best = { size, columns, rows };
  }
  const cell = { width: width / best.columns, height: height / best.rows };
  return Array.from({ length: data.slices }, (_, slice) => ({
    slice, ...cell, x: slice % best.columns * cell.width, y: Math.floor(slice / best.columns) * cell.height,
  }));
}

function drawCell(context, cell) {
  const all = state.view === "all", gap = all ? 1 : 0;
  const inner = { x: cell.x + gap, y: cell.y + gap, width: cell.width - 2 * gap, height: cell.height - 2 * gap };
  drawPicture(context, inner, cell.slice);
  drawContours(context, inner, cell.slice, all ? 1.25 : 1.8);
  if (!all) return;
  context.font = "600 12px system-ui, sans-serif";
  context.fillStyle = "#e8ecf1";
  context.shadowColor = "#000";
  context.shadowBlur = 3;
  context.fillText(cell.slice + 1, inner.x + 7, inner.y + inner.height - 7);
  context.shadowBlur = 0;
  if (cell.slice !== state.slice) return;
  context.strokeStyle = "#e8ecf1";
  context.lineWidth = 1.5;
  context.strokeRect(inner.x + 1, inner.y + 1, inner.width - 2, inner.height - 2);
}

function draw() {
  const { clientWidth, clientHeight } = canvas, ratio = window.devicePixelRatio || 1;
  const width = Math.round(clientWidth * ratio), height = Math.round(clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = "#000";
  context.fillRect(0, 0, clientWidth, clientHeight);
  for (const cell of cells(clientWidth, clientHeight)) drawCell(context, cell);
}
