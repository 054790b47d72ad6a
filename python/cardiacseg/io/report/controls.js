// What people do: play, scroll, jump, switch. Every change goes through `change`, which shows the new state.
const find = (id) => document.getElementById(id);
const within = (value, count) => Math.min(Math.max(value, 0), count - 1);
const around = (value, count) => (value % count + count) % count;

function change(changes) {
  Object.assign(state, changes);
  show();
}

function show() {
  const { phase, slice } = state;
  const time = data.times ? `, ${Math.round(data.times[phase])} ms` : "";
  const here = `Phase ${phase + 1} of ${data.phases}${time}`;
  const name = data.names.filter(([, frame]) => frame === phase).map(([text]) => text).join(", ");
  find("phase").value = phase + 1;
  find("slice").value = slice + 1;
  find("phase").setAttribute("aria-valuetext", here + (name && `, ${name}`));
  find("phase-text").textContent = `${phase + 1} / ${data.phases}${time}`;
  find("slice-text").textContent = `${slice + 1} / ${data.slices}`;
  find("place").textContent = (state.view === "one" ? `Slice ${slice + 1} of ${data.slices}\u2002·\u2002` : "") + here;
  find("named").textContent = name;
  find("play").textContent = state.playing ? "Pause" : "Play";
  find("play").setAttribute("aria-pressed", state.playing);
  canvas.setAttribute("aria-label", `Slice ${slice + 1} of ${data.slices}, ${here}`);
  for (const cursor of document.querySelectorAll(".chart .cursor")) {
    cursor.setAttribute("x1", data.places[phase]);
    cursor.setAttribute("x2", data.places[phase]);
  }
  document.querySelectorAll(".slices tbody tr").forEach((row, index) => row.classList.toggle("here", index === slice));
  draw();
}

let shownAt = 0;
function play(playing) {
  change({ playing: playing && data.phases > 1 });
  shownAt = performance.now();
  if (state.playing) requestAnimationFrame(advance);
}

function advance(now) {
  if (!state.playing) return;
  const step = data.interval_ms / state.speed, steps = Math.floor((now - shownAt) / step);
  if (steps > 0) {
    shownAt += steps * step;
    change({ phase: around(state.phase + steps, data.phases) });
  }
  requestAnimationFrame(advance);
}

function goTo(phase, slice) {
  const changes = { playing: false };
  if (phase !== undefined) changes.phase = within(Number(phase), data.phases);
  if (slice !== undefined) Object.assign(changes, { slice: within(Number(slice), data.slices) });
  if (slice !== undefined && state.view === "all") setView("one");
  change(changes);
  find("viewer").scrollIntoView({ block: "nearest" });
}

function setView(view) {
  document.querySelector(`input[name=view][value=${view}]`).checked = true;
  change({ view });
}

function setContours(shown) {
  for (const box of document.querySelectorAll(".contour")) box.checked = shown.has(box.value);
  change({ shown });
}

const keys = {
  " ": () => play(!state.playing),
  ArrowLeft: () => change({ playing: false, phase: around(state.phase - 1, data.phases) }),
  ArrowRight: () => change({ playing: false, phase: around(state.phase + 1, data.phases) }),
  ArrowUp: () => change({ slice: within(state.slice - 1, data.slices) }),
  ArrowDown: () => change({ slice: within(state.slice + 1, data.slices) }),
  Home: () => data.names.length && goTo(data.names[0][1]),
  End: () => data.names.length && goTo(data.names[1][1]),
  Enter: () => setView("one"),
  m: () => setView(state.view === "one" ? "all" : "one"),
  c: () => setContours(new Set(state.shown.size ? [] : ["RV", "MYO", "LV"])),
};

canvas.addEventListener("keydown", (event) => {
  const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});

// A wheel's notch is one slice; the small steps of a touchpad add up to one.
let wheeled = 0;
canvas.addEventListener("wheel", (event) => {
  if (state.view === "all" || event.ctrlKey) return;
  event.preventDefault();
  wheeled += event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY / 60 : event.deltaY;
  const steps = Math.sign(wheeled) * Math.min(1, Math.floor(Math.abs(wheeled)));
  if (steps === 0) return;
  wheeled = 0;
  change({ slice: within(state.slice + steps, data.slices) });
}, { passive: false });

canvas.addEventListener("click", (event) => {
  if (state.view !== "all") return;
  const { offsetX: x, offsetY: y } = event;
  const hit = cells(canvas.clientWidth, canvas.clientHeight)
    .find((cell) => x >= cell.x && x < cell.x + cell.width && y >= cell.y && y < cell.y + cell.height);
  if (hit) goTo(undefined, hit.slice);
});

for (const chart of document.querySelectorAll(".chart")) {
  chart.addEventListener("click", (event) => {
    const x = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse()).x;
    const distances = data.places.map((place) => Math.abs(place - x));
    goTo(distances.indexOf(Math.min(...distances)));
  });
}

for (const button of document.querySelectorAll("button.go")) {
  button.addEventListener("click", () => goTo(button.dataset.phase, button.dataset.slice));
}

function addPhaseNames() {
  for (const [name, phase] of data.names) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
    button.setAttribute("aria-label", `Show ${name}, phase ${phase + 1}`);
    button.addEventListener("click", () => goTo(phase));
    find("jumps").append(button);
    const mark = Object.assign(document.createElement("span"), { textContent: name });
    mark.style.left = `calc(8px + (100% - 16px) * ${phase / (data.phases - 1)})`;
    find("marks").append(mark);
  }
}

find("play").addEventListener("click", () => play(!state.playing));
find("phase").max = data.phases;
find("slice").max = data.slices;
find("play").disabled = find("phase").disabled = data.phases === 1;
find("slice").disabled = data.slices === 1;
find("phase").addEventListener("input", (event) => change({ playing: false, phase: event.target.value - 1 }));
find("slice").addEventListener("input", (event) => change({ slice: event.target.value - 1 }));
find("field").addEventListener("change", (event) => change({ field: event.target.checked }));
find("speed").addEventListener("change", (event) => change({ speed: Number(event.target.value) }));
for (const radio of document.querySelectorAll("input[name=view]")) {
  radio.addEventListener("change", () => change({ view: radio.value }));
}
for (const box of document.querySelectorAll(".contour")) {
  box.addEventListener("change", () => setContours(
    new Set([...document.querySelectorAll(".contour:checked")].map(({ value }) => value))));
}
new ResizeObserver(draw).observe(canvas);
addPhaseNames();
show();
canvas.focus({ preventScroll: true });
