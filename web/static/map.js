// The gallery map: points on a canvas, drawn by hand into its pixels, so that tens of thousands move fluently.
// Without this script the page shows the same facts as lists.
"use strict";

// Colors that the color-blind can tell apart (Okabe and Ito, the light ones darker), each with a shape of its own.
const STYLES = [
  ["#0072b2", (x, y) => x * x + y * y <= 1],                                      // disc
  ["#d55e00", (x, y) => Math.max(Math.abs(x), Math.abs(y)) <= 0.85],              // square
  ["#007d5a", (x, y) => y <= 0.8 && Math.abs(x) <= (y + 1.1) * 0.6],              // triangle
  ["#b0559a", (x, y) => Math.abs(x) + Math.abs(y) <= 1.1],                        // diamond
  ["#a87000", (x, y) => Math.min(Math.abs(x), Math.abs(y)) <= 0.35],              // plus
  ["#2f8fc4", (x, y) => y >= -0.8 && Math.abs(x) <= (1.1 - y) * 0.6],             // triangle, upside down
  ["#2b3533", (x, y) => Math.abs(Math.abs(x) - Math.abs(y)) <= 0.4],              // cross
  ["#76817e", (x, y) => x * x + y * y <= 1 && x * x + y * y >= 0.3],              // ring: all other categories
];
const OTHERS = STYLES.length - 1;
const FADED = "#d3dad8";
const BESIDE = 1; // in `apart`; 2: alone
const RED = "#a3261d", INK = "#17211f", GREEN = "#0d6b5f";
const SHARPEST = 2; // pixels of the canvas for one of the page, at most
const TOUCH = 18; // pixels of the page around a point in which it is meant
const MOST_ZOOM = 400;

// The answer of /map/points: see catalog/gallery_map/showing.py.
function unpack(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  let at = 4 + size + (-size & 3);
  const take = (Kind, count) => {
    const part = new Kind(buffer, at, count);
    at += part.byteLength + (-part.byteLength & 3);
    return part;
  };
  const { photos, pairs } = head;
  return { ...head, xy: take(Float32Array, 2 * photos), product: take(Uint32Array, photos), pair: take(Uint32Array, 2 * pairs), apart: take(Uint8Array, photos), sha256: take(Uint8Array, 32 * photos) };
}

// Points in square cells, to find those near a place: the points of cell c are order[first[c]] to order[first[c + 1] - 1].
class Grid {
  constructor(xy) {
    const count = xy.length / 2, side = Math.max(1, Math.ceil(Math.sqrt(count / 4)));
    this.box = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < count; i++) {
      this.box[0] = Math.min(this.box[0], xy[2 * i]);
      this.box[1] = Math.min(this.box[1], xy[2 * i + 1]);
      this.box[2] = Math.max(this.box[2], xy[2 * i]);
      this.box[3] = Math.max(this.box[3], xy[2 * i + 1]);
    }
    this.side = side;
    this.cell = Math.max(this.box[2] - this.box[0], this.box[3] - this.box[1], 1e-9) / side;
    this.first = new Uint32Array(side * side + 1);
    this.order = new Uint32Array(count);
    const cells = new Uint32Array(count);
    for (let i = 0; i < count; i++) this.first[1 + (cells[i] = this.row(xy[2 * i + 1], 1) * side + this.row(xy[2 * i], 0))]++;
    for (let c = 0; c < side * side; c++) this.first[c + 1] += this.first[c];
    const next = this.first.slice();
    for (let i = 0; i < count; i++) this.order[next[cells[i]]++] = i;
  }

  row(value, axis) {
    return Math.min(this.side - 1, Math.max(0, Math.floor((value - this.box[axis]) / this.cell)));
  }

  *within(x0, y0, x1, y1) {
    for (let row = this.row(y0, 1), last = this.row(y1, 1); row <= last; row++) {
      const from = this.first[row * this.side + this.row(x0, 0)], to = this.first[row * this.side + this.row(x1, 0) + 1];
      for (let k = from; k < to; k++) yield this.order[k];
    }
  }
}

const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
// As web/skus.py: what servers and proxies take for a path's own is escaped twice.
const skuPath = (sku) => encodeURIComponent(sku.replace(/[/\\%]/g, encodeURIComponent)).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

class PhotoMap {
  constructor(root, data) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    this.context = this.canvas.getContext("2d");
    this.part = (name) => root.querySelector(`[data-${name}]`);
    this.chosen = -1;
    this.scale = 0;
    this.load(data);
    this.listen();
  }

  load(data) {
    Object.assign(this, data);
    this.grid = new Grid(this.xy);
    const count = new Map();
    for (const product of this.product) {
      const category = this.products[product][2];
      count.set(category, (count.get(category) || 0) + 1);
    }
    const largest = [...count].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([category]) => category);
    const styled = largest.length > STYLES.length ? largest.slice(0, OTHERS) : largest.slice(0, STYLES.length);
    const styleOf = new Map(styled.map((category, place) => [category, place]));
    this.style = Uint8Array.from(this.product, (product) => styleOf.get(this.products[product][2]) ?? OTHERS);
    this.texts = this.products.map(([sku, name]) => fold(`${sku} ${name}`));
    const name = (category) => this.categories[category] || "No category";
    this.part("legend").replaceChildren(
      ...styled.map((category, place) => this.legend(place, `${name(category)} (${count.get(category).toLocaleString()})`)),
      ...(styled.length < largest.length ? [this.legend(OTHERS, "All other categories")] : []),
    );
    const select = this.part("category"), before = select.value;
    select.replaceChildren(select.firstElementChild, ...[...largest].sort((a, b) => name(a).localeCompare(name(b))).map((category) => element("option", { value: category }, name(category))));
    select.value = [...select.options].some((option) => option.value === before) ? before : "";
    this.filter();
  }

  legend(style, text) {
    const swatch = element("canvas", { width: 28, height: 28, ariaHidden: "true" });
    const pixels = new ImageData(28, 28);
    this.stamp(new Uint32Array(pixels.data.buffer), 28, 28, this.marks(style, 11), 14, 14, argb(STYLES[style][0]));
    swatch.getContext("2d").putImageData(pixels, 0, 0);
    return element("li", {}, swatch, ` ${text}`);
  }

  // Which photos the tools above the map leave: `shown` is 1 for each.
  filter() {
    const words = fold(this.part("words").value).split(/\s+/).filter(Boolean);
    const category = this.part("category").value, only = this.part("only").checked;
    const wanted = this.products.map(([, , of], product) => (category === "" || of === Number(category)) && words.every((word) => this.texts[product].includes(word)));
    this.shown = Uint8Array.from(this.product, (product, photo) => (wanted[product] && (!only || this.apart[photo]) ? 1 : 0));
    this.narrowed = words.length > 0 || category !== "" || only;
    const left = this.shown.reduce((sum, one) => sum + one, 0);
    this.part("found").textContent = this.narrowed ? `${left.toLocaleString()} of ${this.photos.toLocaleString()} ${this.photos === 1 ? "photo" : "photos"}` : "";
    this.redraw();
  }

  // Sizes and places. A place on the map is (x, y), one on the canvas (left, top), in pixels of the page.
  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    const sharp = Math.min(SHARPEST, window.devicePixelRatio || 1);
    if (!clientWidth) return;
    const fresh = !this.scale, before = this.size;
    this.size = [clientWidth, clientHeight];
    [this.canvas.width, this.canvas.height] = this.size.map((length) => Math.round(length * sharp));
    this.sharp = this.canvas.width / clientWidth;
    this.image = this.context.createImageData(this.canvas.width, this.canvas.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    if (fresh || this.scale === this.least) this.whole();
    else this.shift((this.size[0] - before[0]) / 2, (this.size[1] - before[1]) / 2);
  }

  whole() {
    const [x0, y0, x1, y1] = this.photos ? this.grid.box : [0, 0, 1, 1], [width, height] = this.size;
    this.scale = this.least = Math.min((width - 48) / Math.max(x1 - x0, 1e-9), (height - 48) / Math.max(y1 - y0, 1e-9), 1e6);
    this.left = (width - (x0 + x1) * this.scale) / 2;
    this.top = (height - (y0 + y1) * this.scale) / 2;
    this.redraw();
  }

  shift(left, top) {
    this.left += left;
    this.top += top;
    this.redraw();
  }

  zoom(factor, left = this.size[0] / 2, top = this.size[1] / 2) {
    const scale = Math.min(this.least * MOST_ZOOM, Math.max(this.least / 2, this.scale * factor)), by = scale / this.scale;
    this.left = left - (left - this.left) * by;
    this.top = top - (top - this.top) * by;
    this.scale = scale;
    this.redraw();
  }

  place(photo) {
    return [this.xy[2 * photo] * this.scale + this.left, this.xy[2 * photo + 1] * this.scale + this.top];
  }

  // The shown photo nearest to a place on the canvas, within a touch; -1 for none.
  pick(left, top) {
    const x = (left - this.left) / this.scale, y = (top - this.top) / this.scale, reach = TOUCH / this.scale;
    let found = -1, least = reach * reach;
    for (const photo of this.grid.within(x - reach, y - reach, x + reach, y + reach)) {
      const far = (this.xy[2 * photo] - x) ** 2 + (this.xy[2 * photo + 1] - y) ** 2;
      if (this.shown[photo] && far <= least) [found, least] = [photo, far];
    }
    return found;
  }

  // The shown photo that is next in a direction, [-1, 0] for left; from the middle when none is chosen.
  next(right, down) {
    const [x, y] = this.chosen >= 0 ? [this.xy[2 * this.chosen], this.xy[2 * this.chosen + 1]] : [(this.size[0] / 2 - this.left) / this.scale, (this.size[1] / 2 - this.top) / this.scale];
    let found = -1, least = Infinity;
    for (let photo = 0; photo < this.photos; photo++) {
      if (!this.shown[photo] || photo === this.chosen) continue;
      const across = this.xy[2 * photo] - x, along = this.xy[2 * photo + 1] - y;
      const ahead = across * right + along * down, aside = Math.abs(across * down - along * right);
      const far = across * across + along * along;
      if ((this.chosen < 0 || (ahead > 0 && aside <= ahead)) && far < least) [found, least] = [photo, far];
    }
    return found;
  }

  redraw() {
    if (!this.scale || this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      const began = performance.now();
      this.draw();
      this.canvas.dataset.drawn = (Number(this.canvas.dataset.drawn) || 0) + 1;
      this.canvas.dataset.milliseconds = (performance.now() - began).toFixed(2);
    });
  }

  // Pixels of a shape around its middle, as [across, down, ...].
  marks(style, radius) {
    const marks = [], reach = Math.ceil(radius * 1.2), inside = STYLES[style][1];
    for (let down = -reach; down <= reach; down++) {
      for (let across = -reach; across <= reach; across++) if (inside(across / radius, down / radius)) marks.push(across, down);
    }
    return Int32Array.from(marks);
  }

  stamp(pixels, width, height, marks, left, top, color) {
    for (let k = 0; k < marks.length; k += 2) {
      const across = left + marks[k], down = top + marks[k + 1];
      if (across >= 0 && across < width && down >= 0 && down < height) pixels[down * width + across] = color;
    }
  }

  draw() {
    const { width, height } = this.canvas, { sharp, xy } = this;
    const base = this.photos > 10000 ? 2 : this.photos > 2000 ? 3 : 4;
    this.radius = Math.min(8, base * (this.scale / this.least) ** 0.35);
    const marks = STYLES.map((_, style) => this.marks(style, this.radius * sharp));
    const small = this.marks(0, Math.min(this.radius, 2.5) * sharp);
    const colors = STYLES.map(([color]) => argb(color)), faded = argb(FADED);
    const scale = this.scale * sharp, right = this.left * sharp, down = this.top * sharp, reach = 10 * sharp;
    this.pixels.fill(0);
    // Those that the tools leave come last, on top.
    for (const on of this.narrowed ? [0, 1] : [1]) {
      for (let photo = 0; photo < this.photos; photo++) {
        if (this.shown[photo] !== on) continue;
        const left = Math.round(xy[2 * photo] * scale + right), top = Math.round(xy[2 * photo + 1] * scale + down);
        if (left < -reach || left > width + reach || top < -reach || top > height + reach) continue;
        if (on) this.stamp(this.pixels, width, height, marks[this.style[photo]], left, top, colors[this.style[photo]]);
        else this.stamp(this.pixels, width, height, small, left, top, faded);
      }
    }
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.putImageData(this.image, 0, 0);
    this.context.setTransform(sharp, 0, 0, sharp, 0, 0);
    this.drawPairs();
    this.drawApart();
    if (this.chosen >= 0) this.ring([this.chosen], this.radius + 6, GREEN, 3);
  }

  drawPairs() {
    this.context.beginPath();
    for (let k = 0; k < this.pair.length; k += 2) {
      if (!this.shown[this.pair[k]] && !this.shown[this.pair[k + 1]]) continue;
      this.context.moveTo(...this.place(this.pair[k]));
      this.context.lineTo(...this.place(this.pair[k + 1]));
    }
    this.context.strokeStyle = RED;
    this.context.lineWidth = 1.5;
    this.context.stroke();
  }

  drawApart() {
    const [beside, alone] = [[], []];
    for (let photo = 0; photo < this.photos; photo++) {
      if (this.apart[photo] && this.shown[photo]) (this.apart[photo] === BESIDE ? beside : alone).push(photo);
    }
    this.ring(beside, this.radius + 3, RED, 1.5);
    this.ring(alone, this.radius + 3, INK, 1.5);
  }

  ring(photos, radius, color, line) {
    const [width, height] = this.size;
    this.context.beginPath();
    for (const photo of photos) {
      const [left, top] = this.place(photo);
      if (left < -20 || left > width + 20 || top < -20 || top > height + 20) continue;
      this.context.moveTo(left + radius, top);
      this.context.arc(left, top, radius, 0, 2 * Math.PI);
    }
    this.context.strokeStyle = color;
    this.context.lineWidth = line;
    this.context.stroke();
  }

  choose(photo, inView = false) {
    if (inView && photo >= 0) {
      const [left, top] = this.place(photo), [width, height] = this.size;
      if (left < 30 || left > width - 30 || top < 30 || top > height - 30) this.shift(width / 2 - left, height / 2 - top);
    }
    if (photo === this.chosen) return;
    this.chosen = photo;
    this.part("card").replaceChildren(...(photo < 0 ? [element("p", { className: "hint" }, "Choose a point to see its photo.")] : this.card(photo)));
    this.redraw();
  }

  address(photo) {
    return this.root.dataset.products.replace(/SKU$/, () => skuPath(this.products[this.product[photo]][0]));
  }

  link(photo) {
    return element("a", { href: this.address(photo) }, element("bdi", {}, this.products[this.product[photo]][1]));
  }

  card(photo) {
    const product = this.product[photo], [sku, name, category] = this.products[product];
    const sha256 = hex(this.sha256.subarray(32 * photo, 32 * photo + 32));
    const rivals = new Map();
    for (let k = 0; k < this.pair.length; k += 2) {
      const [one, other] = [this.pair[k], this.pair[k + 1]];
      if (this.product[one] === product) rivals.set(this.product[other], other);
      else if (this.product[other] === product) rivals.set(this.product[one], one);
    }
    const parts = [element("img", { src: this.root.dataset.photos.replace("0".repeat(64), sha256), alt: "", width: 120, height: 120 })];
    const facts = element("div", {}, element("strong", {}, this.link(photo)));
    if (name !== sku) facts.append(" ", element("code", {}, sku));
    if (this.categories[category]) facts.append(element("small", {}, this.categories[category]));
    if (this.apart[photo]) facts.append(element("p", {}, this.apart[photo] === BESIDE ? "Nearer to another product than to the others of its own." : "No other photo of its product would find it."));
    if (rivals.size) facts.append(element("p", {}, "The product looks like ", ...[...rivals.values()].slice(0, 5).flatMap((rival, place) => (place ? [", ", this.link(rival)] : [this.link(rival)])), "."));
    return [...parts, facts];
  }

  // The photo that the address names behind #, and a link of the lists does.
  go() {
    const name = location.hash.slice(1);
    if (!/^[0-9a-f]{64}$/.test(name)) return;
    for (let photo = 0; photo < this.photos; photo++) {
      if (hex(this.sha256.subarray(32 * photo, 32 * photo + 4)) !== name.slice(0, 8) || hex(this.sha256.subarray(32 * photo, 32 * photo + 32)) !== name) continue;
      if (!this.shown[photo]) {
        for (const tool of [this.part("words"), this.part("category")]) tool.value = "";
        this.part("only").checked = false;
        this.filter();
      }
      this.zoom((this.least * 12) / this.scale);
      const [left, top] = this.place(photo);
      this.shift(this.size[0] / 2 - left, this.size[1] / 2 - top);
      this.choose(photo);
      this.root.scrollIntoView({ block: "start" });
      this.canvas.focus({ preventScroll: true });
      return;
    }
    this.part("card").replaceChildren(element("p", { className: "hint", textContent: "This photo is not on the map yet: it is after the next update." }));
  }

  listen() {
    const { canvas } = this, pointers = new Map();
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    let moved = 0;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, at(event));
      if (pointers.size === 1) moved = 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      const now = at(event), before = pointers.get(event.pointerId);
      if (!before) {
        if (event.pointerType === "mouse" && !this.held) this.hover(now);
        return;
      }
      moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      pointers.set(event.pointerId, now);
      if (!other) return this.shift(now[0] - before[0], now[1] - before[1]);
      const apart = (one) => Math.max(1, Math.hypot(one[0] - other[0], one[1] - other[1]));
      this.left += (now[0] - before[0]) / 2;
      this.top += (now[1] - before[1]) / 2;
      this.zoom(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    });
    const release = (event) => {
      const one = pointers.size === 1 && pointers.has(event.pointerId);
      pointers.delete(event.pointerId);
      if (event.type === "pointerup" && one && moved < 6) {
        const photo = this.pick(...at(event));
        this.held = photo >= 0;
        this.choose(photo);
      }
    };
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), ...at(event));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
    for (const button of this.root.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => this.zoom(Number(button.dataset.zoom)));
    this.part("whole").addEventListener("click", () => this.whole());
    for (const tool of ["words", "category", "only"]) this.part(tool).addEventListener("input", () => this.filter());
    addEventListener("hashchange", () => this.go());
    document.addEventListener("click", (event) => {
      if (event.target.closest("[data-jump]")?.hash === location.hash) this.go(); // again: no hashchange
    });
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  // What the mouse is over is shown until something is held by a click.
  hover(place) {
    const photo = this.pick(...place);
    this.canvas.classList.toggle("over", photo >= 0);
    if (photo >= 0) this.choose(photo);
  }

  key(event) {
    const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const direction = directions[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (direction && event.shiftKey) this.shift(-80 * direction[0], -80 * direction[1]);
    else if (direction) {
      const photo = this.next(...direction);
      this.held = true;
      if (photo >= 0) this.choose(photo, true);
    } else if (event.key === "+" || event.key === "=") this.zoom(1.5);
    else if (event.key === "-") this.zoom(1 / 1.5);
    else if (event.key === "0") this.whole();
    else if (event.key === "Escape") {
      this.held = false;
      this.choose(-1);
    } else if (event.key === "Enter" && this.chosen >= 0) location.assign(this.address(this.chosen));
    else return;
    event.preventDefault();
  }
}

// "#rrggbb" as a number of four bytes in a canvas's order, on the machines there are.
function argb(color) {
  const number = parseInt(color.slice(1), 16);
  return ((255 << 24) | ((number & 255) << 16) | (number & 0xff00) | (number >> 16)) >>> 0;
}

const root = document.querySelector("[data-map]");
if (root) {
  let version = "", map = null;
  const ask = async () => {
    const reply = await fetch(root.dataset.map, { headers: { "X-Requested-With": "fetch", ...(version && { "If-None-Match": version }) } });
    if (reply.status === 304) return;
    if (!reply.ok || reply.redirected) throw new Error("no points");
    const data = unpack(await reply.arrayBuffer());
    version = reply.headers.get("ETag");
    root.hidden = false;
    if (map) map.choose(-1);
    if (map) map.load(data);
    else map = new PhotoMap(root, data);
    map.resize();
    root.dataset.ready = "";
    for (const jump of document.querySelectorAll("[data-jump]")) jump.hidden = false;
    map.go();
  };
  ask().catch(() => { document.querySelector("[data-map-problem]").hidden = false; });
  // Who comes back to the page sees what was changed meanwhile.
  document.addEventListener("visibilitychange", () => { if (!document.hidden && map) ask().catch(() => {}); });
}
