"use strict";
// The page of a grid: moving between cells, a viewer that zooms, and flipping between two marked pictures in place.
// Whatever a stranger has written comes in by textContent only.
(() => {
  const pictures = JSON.parse(document.getElementById("data").textContent);
  const cells = Array.from(document.querySelectorAll(".cell"));
  const byId = (id) => document.getElementById(id);
  const [view, stage, large] = ["view", "stage", "large"].map(byId);
  let current = 0; // the picture that has the focus or is shown
  let shown = 0; // the picture that was shown last; closing brings the focus back to the one that was opened first
  let marked = []; // two at most, the older first
  let zoom = 1, left = 0, top = 0;
  let fits = true; // whether the picture is as large as the window lets it be

  const image = (index) => cells[index].querySelector("img");

  // Where the wanted neighbour is: the same place but for one step along one axis.
  const neighbour = (index, dx, dy) => {
    const here = pictures[index].place;
    const there = [here[0] + dx, here[1] + dy, here[2]];
    return pictures.findIndex((other) => other.place.every((value, axis) => value === there[axis]));
  };

  const focus = (index) => {
    current = index;
    if (!view.open) {
      cells[index].focus({ preventScroll: true });
      cells[index].scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  };

  const draw = () => { large.style.transform = `translate(${left}px, ${top}px) scale(${zoom})`; };

  const fit = () => {
    const wide = large.naturalWidth || 1, high = large.naturalHeight || 1;
    zoom = Math.min(stage.clientWidth / wide, stage.clientHeight / high);
    left = (stage.clientWidth - wide * zoom) / 2;
    top = (stage.clientHeight - high * zoom) / 2;
    fits = true;
    draw();
  };

  const zoomAt = (x, y, factor) => {
    const next = Math.min(32, Math.max(0.05, zoom * factor));
    left = x - (x - left) * next / zoom;
    top = y - (y - top) * next / zoom;
    zoom = next;
    fits = false;
    draw();
  };

  const show = (index) => {
    current = index;
    shown = index;
    const source = image(index);
    large.src = source ? source.src : "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";
    const where = byId("where");
    where.replaceChildren(...pictures[index].labels.map((label) => {
      const line = document.createElement("li");
      line.textContent = label;
      return line;
    }));
    byId("text").textContent = pictures[index].text;
    byId("mark").classList.toggle("on", marked.includes(index));
    // A flip keeps the place that is looked at.
    if (fits) { large.decode().then(fit, fit); }
  };

  const open = (index) => {
    if (!view.open) { view.showModal(); fits = true; }
    show(index);
  };

  const mark = (index) => {
    marked = marked.includes(index) ? marked.filter((other) => other !== index) : [...marked, index].slice(-2);
    cells.forEach((cell, other) => cell.classList.toggle("marked", marked.includes(other)));
    byId("mark").classList.toggle("on", marked.includes(current));
  };

  const flip = () => {
    if (marked.length === 0) { return; }
    const other = marked.find((index) => index !== current);
    open(other === undefined ? marked[0] : other);
  };

  const copy = () => {
    const text = pictures[current].text;
    if (navigator.clipboard && window.isSecureContext) { navigator.clipboard.writeText(text).catch(() => {}); return; }
    const range = document.createRange();
    range.selectNodeContents(byId("text"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.execCommand("copy");
  };

  const move = (dx, dy) => {
    const next = neighbour(current, dx, dy);
    if (next < 0) { return; }
    if (view.open) { show(next); } else { focus(next); }
  };

  const keys = {
    ArrowLeft: () => move(-1, 0), ArrowRight: () => move(1, 0), ArrowUp: () => move(0, -1), ArrowDown: () => move(0, 1),
    m: () => mark(current), f: flip, c: () => { if (view.open) { copy(); } }, 0: () => { if (view.open) { fit(); } },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.id === "size") { return; }
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (act) { event.preventDefault(); act(); }
  });

  cells.forEach((cell, index) => {
    cell.addEventListener("click", () => open(index));
    cell.addEventListener("focus", () => { current = index; });
  });
  view.addEventListener("close", () => focus(shown));
  byId("close").addEventListener("click", () => view.close());
  byId("mark").addEventListener("click", () => mark(current));
  byId("flip").addEventListener("click", flip);
  byId("fit").addEventListener("click", fit);
  byId("copy").addEventListener("click", copy);
  window.addEventListener("resize", () => { if (view.open && fits) { fit(); } });

  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    zoomAt(event.clientX - box.left, event.clientY - box.top, Math.exp(-event.deltaY / 400));
  }, { passive: false });
  let drag = null;
  stage.addEventListener("pointerdown", (event) => {
    drag = { x: event.clientX - left, y: event.clientY - top, moved: false };
    stage.setPointerCapture(event.pointerId);
    stage.classList.add("dragging");
  });
  stage.addEventListener("pointermove", (event) => {
    if (!drag) { return; }
    const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
    drag.moved = drag.moved || Math.abs(x - left) + Math.abs(y - top) > 3;
    if (drag.moved) { left = x; top = y; fits = false; draw(); }
  });
  stage.addEventListener("pointerup", (event) => {
    const wasClick = drag && !drag.moved;
    drag = null;
    stage.classList.remove("dragging");
    if (!wasClick) { return; }
    // A click zooms in to the pixels, and back.
    const box = stage.getBoundingClientRect();
    if (fits) { zoomAt(event.clientX - box.left, event.clientY - box.top, Math.max(2, 1 / zoom)); } else { fit(); }
  });

  const size = byId("size");
  const resize = () => document.documentElement.style.setProperty("--side", `${size.value}px`);
  size.addEventListener("input", resize);
  document.querySelector("main").addEventListener("wheel", (event) => {
    if (!event.ctrlKey) { return; }
    event.preventDefault();
    size.value = String(Number(size.value) * Math.exp(-event.deltaY / 400));
    resize();
  }, { passive: false });
  resize();
})();
