/* The quick picture viewer: <div class="quickviewer" data-series-url="…"></div> becomes a stack of pictures.
 *
 * The address gives JSON:
 *   {"caption": {"patient", "number", "date", "study", "series", "note", "left_out"},  patient and number are required
 *    "frames": [{"url", "label", "window": {"center", "width", "function"}, "inverted"}],  all but url may be missing
 *    "modality": "CT", "window": {"center", "width"} or null (colour: no window tools), "inverted": false,
 *    "sides": ["R", "L", "A", "P"] (left, right, upper, lower edge; "" = not told; a frame may have its own),
 *    "frame_time_ms": 33.3 or null, "start": 0}
 * A window is asked for as window=center,width,linear (PS3.18 8.3.5.1.4) added to the frame's url, as linear-exact where
 * the series' own is not LINEAR: doses, uptakes and the like have windows of a few units or less.
 *
 * The rule that everything here serves: the caption always names the picture that is seen. Both change in the
 * same step; a picture that comes late for another place or window is kept, not shown.
 */

const TEXTS = {
  sv: {
    viewer: "Bildvisare", picture: "Bild", of: "av", loading: "Hämtar", retry: "Försök igen",
    failed: "Bilden kunde inte visas", series_failed: "Bilderna kunde inte hämtas",
    lost: "Ingen kontakt just nu. Bilden hämtas när den är tillbaka.",
    withdrawn: "Bilder har dragits tillbaka eller flyttats sedan de hämtades. De visas inte längre.",
    logged_out: "Du är utloggad. Logga in igen för att se bilden.", empty: "Serien har inga bilder att visa",
    no_patient: "Bilden visas inte: uppgift om patient saknas", window: "Fönster",
    preset_own: "Bildens eget", preset_custom: "Eget", preset_lung: "Lunga", preset_soft: "Mjukdel",
    preset_bone: "Skelett", preset_brain: "Hjärna", tool: "Dra för att", tool_window: "Ljus", tool_pan: "Flytta",
    tool_zoom: "Zooma", tool_scroll: "Bläddra", zoom_in: "Förstora", zoom_out: "Förminska", fit: "Anpassa",
    reset: "Återställ", play: "Spela", pause: "Pausa", speed: "Fart", slider: "Bildnummer", per_second: "bilder/s",
    keys: "Kortkommandon", keys_close: "Stäng",
    key_scroll: "Föregående och nästa bild", key_ten: "Tio bilder", key_ends: "Första och sista bilden",
    key_zoom: "Större och mindre", key_window: "Ljus och kontrast", key_pan: "Flytta bilden", key_fit: "Anpassa",
    key_reset: "Återställ", key_play: "Spela och pausa", key_presets: "Fönsterval", key_keys: "Den här rutan",
    arrows: "Pilar", shift: "Skift", alt: "Alt", space: "Mellanslag",
    side_R: "Hö", side_L: "Vä", side_A: "Fram", side_P: "Bak", side_H: "Huvud", side_F: "Fot",
  },
  en: {
    viewer: "Picture viewer", picture: "Picture", of: "of", loading: "Loading", retry: "Try again",
    failed: "The picture could not be shown", series_failed: "The pictures could not be fetched",
    lost: "No contact just now. The picture is fetched when it is back.",
    withdrawn: "Pictures have been withdrawn or moved since they were fetched. They are not shown any more.",
    logged_out: "You are logged out. Log in again to see the picture.", empty: "The series has no pictures to show",
    no_patient: "The picture is not shown: the patient's details are missing", window: "Window",
    preset_own: "As recorded", preset_custom: "Custom", preset_lung: "Lung", preset_soft: "Soft tissue",
    preset_bone: "Bone", preset_brain: "Brain", tool: "Drag to", tool_window: "Window", tool_pan: "Move",
    tool_zoom: "Zoom", tool_scroll: "Scroll", zoom_in: "Zoom in", zoom_out: "Zoom out", fit: "Fit",
    reset: "Reset", play: "Play", pause: "Pause", speed: "Speed", slider: "Picture number",
    per_second: "pictures/s",
    keys: "Keyboard shortcuts", keys_close: "Close",
    key_scroll: "Previous and next picture", key_ten: "Ten pictures", key_ends: "First and last picture",
    key_zoom: "Larger and smaller", key_window: "Brightness and contrast", key_pan: "Move the picture", key_fit: "Fit",
    key_reset: "Reset", key_play: "Play and pause", key_presets: "Window presets", key_keys: "This box",
    arrows: "Arrows", shift: "Shift", alt: "Alt", space: "Space",
    side_R: "R", side_L: "L", side_A: "Front", side_P: "Back", side_H: "Head", side_F: "Feet",
  },
};

const CT_PRESETS = [
  ["preset_lung", -600, 1500],
  ["preset_soft", 40, 400],
  ["preset_bone", 500, 2000],
  ["preset_brain", 40, 80],
];

/** What the keyboard does, as the box of shortcuts tells it: words between braces are translated. */
const KEYS = [
  ["↑ ↓", "scroll"], ["PgUp PgDn", "ten"], ["Home End", "ends"], ["+ −", "zoom"], ["{shift} + {arrows}", "window"],
  ["{alt} + {arrows}", "pan"], ["1–5", "presets"], ["0", "fit"], ["R", "reset"], ["{space}", "play"], ["?", "keys"],
];
const EDGES = ["left", "right", "upper", "lower"];

const MOST_AT_ONCE = 5; // a browser opens six connections to one host; one is left for the page
const AHEAD = 12;
const BEHIND = 4;
const WHOLE_STACK = 400; // stacks up to this are fetched to the end while the reader looks, where all of it can be kept
const KEPT_BYTES = 96 * 1024 * 1024; // of compressed pictures
const KEPT_BITMAPS = 64; // decoded; 1 MB each at 512 x 512
const DEFAULT_FRAME_MS = 100;
const MAX_ZOOM = 16;
const FINE = 20; // a window narrower than this is told and moved by parts of a unit
const NARROWEST = 0.05;
const AGAIN_AFTER_MS = 2000;
const PASSING = new Set([502, 503, 504]); // what an overburdened or restarted server answers, or the proxy before it
const CAPTION_TOP = 62; // CSS pixels that a fitted picture leaves to the captions, so that they hide nothing of it
const CAPTION_BOTTOM = 38;
const CAPTION_BOTTOM_NARROW = 64; // of two lines
const NARROW = window.matchMedia("(width <= 40rem)");
const SVG = "http://www.w3.org/2000/svg";

let made = 0;

const captionBottom = () => (NARROW.matches ? CAPTION_BOTTOM_NARROW : CAPTION_BOTTOM);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** Keeps compressed pictures and a few decoded ones by key, the least recently used leave first. */
class Shelf {
  constructor() {
    this.blobs = new Map();
    this.bytes = 0;
    this.bitmaps = new Map();
  }

  has(key) {
    return this.blobs.has(key);
  }

  bitmap(key) {
    const found = this.bitmaps.get(key);
    if (found) {
      this.bitmaps.delete(key);
      this.bitmaps.set(key, found);
    }
    return found;
  }

  /** Whether so many pictures like those so far can be kept at once. */
  holds(count) {
    return this.bytes * count <= KEPT_BYTES * Math.max(1, this.blobs.size);
  }

  put(key, blob) {
    if (this.blobs.has(key)) return;
    this.blobs.set(key, blob);
    this.bytes += blob.size;
    for (const [oldest, old] of this.blobs) {
      if (this.bytes <= KEPT_BYTES || oldest === key) break;
      this.blobs.delete(oldest);
      this.bytes -= old.size;
    }
  }

  async decoded(key) {
    const ready = this.bitmap(key);
    if (ready) return ready;
    const blob = this.blobs.get(key);
    if (!blob) return null;
    const bitmap = await createImageBitmap(blob);
    const raced = this.bitmaps.get(key);
    if (raced) {
      bitmap.close();
      return raced;
    }
    this.bitmaps.set(key, bitmap);
    for (const oldest of this.bitmaps.keys()) {
      if (this.bitmaps.size <= KEPT_BITMAPS) break;
      // Not closed: the stage may still be drawing it; the collector takes it when it is out of use.
      this.bitmaps.delete(oldest);
    }
    return bitmap;
  }
}

class Quickviewer {
  constructor(host) {
    this.host = host;
    this.name = `quickviewer-${++made}`;
    const language = host.dataset.language || document.documentElement.lang || "sv";
    this.texts = TEXTS[language.slice(0, 2)] ?? TEXTS.sv;
    this.loads = new Map();
    this.life = new AbortController();
    this.target = 0;
    this.direction = 1;
    this.window = null; // null = as each picture says
    this.shown = null; // {index, key, window, bitmap}
    this.zoom = 1;
    this.panX = 0;
    this.panY = 0;
    this.tool = "window";
    this.playing = null;
    this.speed = 1;
    this.build();
    this.open();
  }

  text(key) {
    const own = `text${key[0].toUpperCase()}${key.slice(1).replace(/_(\w)/g, (_, letter) => letter.toUpperCase())}`;
    return this.host.dataset[own] ?? this.texts[key];
  }

  // -- what is on the page -------------------------------------------------------------------------------

  build() {
    const t = (key) => this.text(key);
    this.canvas = element("canvas", { className: "quickviewer-canvas", "aria-hidden": "true" });
    this.filter = this.previewFilter();
    this.who = element("p", { className: "quickviewer-who" });
    this.what = element("p", { className: "quickviewer-what" });
    this.leftOut = element("p", { className: "quickviewer-left-out" });
    this.where = element("p", { className: "quickviewer-where" });
    this.seen = element("p", { className: "quickviewer-seen" });
    this.waiting = element("p", { className: "quickviewer-waiting", hidden: true });
    this.problemText = element("p", { className: "quickviewer-problem-text" });
    this.retry = element("button", { type: "button", className: "quickviewer-button", textContent: t("retry") });
    this.problem = element("div", { className: "quickviewer-problem", role: "alert", hidden: true },
      this.problemText, this.retry);
    this.edges = EDGES.map((edge) => element("p", { className: `quickviewer-edge quickviewer-${edge}` }));
    // One below the other: however long the names are, none stands on another or on the side of the picture.
    const upper = this.edges[EDGES.indexOf("upper")];
    this.head = element("div", { className: "quickviewer-head" }, this.who, this.what, this.leftOut, upper);
    const around = this.edges.filter((edge) => edge !== upper);
    this.help = this.keyBox();
    this.stage = element("div", {
      className: "quickviewer-stage", tabIndex: 0, role: "application", "aria-label": t("viewer"),
      "aria-describedby": this.help.id,
    }, this.canvas, this.head, ...around, this.where, this.seen, this.waiting, this.problem, this.help);
    this.live = element("p", { className: "quickviewer-hidden", role: "status" });
    this.slider = element("input", {
      type: "range", className: "quickviewer-slider", min: 1, max: 1, value: 1, "aria-label": t("slider"),
    });
    this.bar = element("div", { className: "quickviewer-bar", role: "group", "aria-label": t("viewer") });
    this.host.replaceChildren(this.bar, this.stage, this.slider, this.live, this.filter.svg);
    this.fillBar();
    this.listen();
  }

  /** Seen when asked for; read aloud as the stage's description all the same. */
  keyBox() {
    const t = (key) => this.text(key);
    const rows = KEYS.map(([keys, does]) => {
      const told = keys.replace(/\{(\w+)\}/g, (_, name) => t(name));
      return element("div", {}, element("dt", {}, element("kbd", { textContent: told })),
        element("dd", { textContent: t(`key_${does}`) }));
    });
    const close = element("button", { type: "button", className: "quickviewer-button", textContent: t("keys_close") });
    close.addEventListener("click", () => this.showKeys(false));
    return element("div", { className: "quickviewer-keys", id: `${this.name}-keys`, hidden: true },
      element("h3", { textContent: t("keys") }), element("dl", {}, ...rows), close);
  }

  showKeys(isShown) {
    this.help.hidden = !isShown;
    this.keysButton.setAttribute("aria-expanded", String(isShown));
    if (!isShown) this.stage.focus({ preventScroll: true });
  }

  fillBar() {
    const t = (key) => this.text(key);
    const button = (key, act, sign = null) => {
      const made = element("button", { type: "button", className: "quickviewer-button", textContent: sign ?? t(key) });
      if (sign) made.ariaLabel = made.title = t(key);
      made.dataset.act = key;
      made.addEventListener("click", act);
      return made;
    };
    this.presets = element("select", { className: "quickviewer-select" });
    this.presets.addEventListener("change", () => this.choosePreset(this.presets.value));
    this.presetLabel = element("label", { className: "quickviewer-label" }, `${t("window")} `, this.presets);
    this.tools = element("select", { className: "quickviewer-select" });
    this.tools.addEventListener("change", () => (this.tool = this.tools.value));
    this.play = button("play", () => this.togglePlay());
    this.keysButton = button("keys", () => this.showKeys(this.help.hidden), "?");
    this.keysButton.setAttribute("aria-controls", this.help.id);
    this.keysButton.setAttribute("aria-expanded", "false");
    this.speeds = element("select", { className: "quickviewer-select", "aria-label": t("speed") },
      ...[0.25, 0.5, 1, 2].map((speed) => element("option", {
        value: speed, textContent: `${speed.toLocaleString(document.documentElement.lang || "sv")}×`, selected: speed === 1,
      })));
    this.speeds.addEventListener("change", () => {
      this.speed = Number(this.speeds.value);
      if (this.playing) this.startPlaying();
    });
    this.bar.append(
      this.presetLabel,
      element("label", { className: "quickviewer-label" },
        element("span", { className: "quickviewer-tool-name", textContent: `${t("tool")} ` }), this.tools),
      button("zoom_out", () => this.zoomBy(1 / 1.25), "−"),
      button("zoom_in", () => this.zoomBy(1.25), "+"),
      button("fit", () => this.fit()),
      button("reset", () => this.reset()),
      this.play, this.speeds, this.keysButton,
    );
  }

  /** An exact preview of another window: what the server will draw is linear in what is on the screen. */
  previewFilter() {
    const make = (name, attributes) => {
      const node = document.createElementNS(SVG, name);
      for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
      return node;
    };
    const svg = make("svg", { width: 0, height: 0, "aria-hidden": "true", class: "quickviewer-filter" });
    const filter = make("filter", { id: `${this.name}-filter`, "color-interpolation-filters": "sRGB" });
    const transfer = make("feComponentTransfer", {});
    const functions = ["R", "G", "B"].map((channel) => make(`feFunc${channel}`, { type: "linear" }));
    transfer.append(...functions);
    filter.append(transfer);
    svg.append(filter);
    return { svg, functions };
  }

  listen() {
    const options = { signal: this.life.signal };
    this.retry.addEventListener("click", () => this.tryAgain(), options);
    this.slider.addEventListener("input", () => this.step(Number(this.slider.value) - 1 - this.target), options);
    this.stage.addEventListener("keydown", (event) => this.key(event), options);
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { ...options, passive: false });
    this.stage.addEventListener("contextmenu", (event) => event.preventDefault(), options);
    this.stage.addEventListener("dblclick", () => this.fit(), options);
    this.pointers = new Map();
    this.stage.addEventListener("pointerdown", (event) => this.pointerDown(event), options);
    this.stage.addEventListener("pointermove", (event) => this.pointerMove(event), options);
    for (const name of ["pointerup", "pointercancel"])
      this.stage.addEventListener(name, (event) => this.pointerUp(event), options);
    this.sizes = new ResizeObserver(() => this.paint());
    this.sizes.observe(this.stage);
    this.sizes.observe(this.head);
  }

  // -- the series ----------------------------------------------------------------------------------------

  async open(isAgain = false) {
    this.opening?.abort();
    const opening = (this.opening = new AbortController());
    this.opened = this.host.dataset.seriesUrl;
    this.forget();
    if (!isAgain) this.problem.hidden = true;
    this.wait(true);
    try {
      const answer = await fetch(this.opened, { signal: opening.signal, headers: { Accept: "application/json" } });
      const series = answer.ok ? await answer.json() : null;
      if (this.opening !== opening) return;
      if (series) this.take(series);
      else if (PASSING.has(answer.status)) this.waitForContact();
      else this.refuse(this.reason(answer.status, "series_failed"));
    } catch {
      if (this.opening === opening) this.waitForContact();
    }
  }

  /** Nothing of the series before may stay on the screen, or come to it: what is still under way for that one ends
   * in its own maps and on its own shelf. */
  forget() {
    this.stopPlaying();
    for (const load of this.loads.values()) load.abort();
    this.loads = new Map(); // key -> AbortController
    this.failures = new Map(); // key -> text, "" = no contact
    clearTimeout(this.again);
    this.shelf = new Shelf();
    this.series = null;
    this.dragged = false;
    this.windowStart = null;
    this.shown = null;
    this.window = null;
    this.zoom = 1;
    this.panX = this.panY = 0;
    this.clear();
  }

  take(series) {
    const caption = series.caption ?? {};
    if (!caption.patient || !caption.number) return this.refuse(this.text("no_patient"));
    if (!Array.isArray(series.frames) || !series.frames.length)
      return this.refuse([this.text("empty"), caption.left_out].filter(Boolean).join(". "));
    this.series = series;
    const count = series.frames.length;
    const canWindow = Boolean(series.window);
    this.host.classList.toggle("quickviewer-single", count === 1);
    this.slider.max = count;
    this.slider.hidden = this.play.hidden = this.speeds.hidden = count === 1;
    this.presetLabel.hidden = !canWindow;
    this.fillPresets();
    const tools = [...(canWindow ? ["window"] : []), ...(count > 1 ? ["scroll"] : []), "pan", "zoom"];
    this.tools.replaceChildren(...tools.map((tool) =>
      element("option", { value: tool, textContent: this.text(`tool_${tool}`) })));
    this.tool = tools[0];
    this.tools.value = this.tool;
    this.go(clamp(series.start ?? 0, 0, count - 1));
  }

  fillPresets() {
    const rows = [["own", this.text("preset_own")]];
    if (this.series.modality === "CT")
      for (const [key] of CT_PRESETS) rows.push([key, this.text(key)]);
    rows.push(["custom", this.text("preset_custom")]);
    this.presets.replaceChildren(...rows.map(([value, textContent]) => element("option", { value, textContent })));
    this.presets.lastChild.disabled = true;
  }

  reason(status, otherwise) {
    return this.text(status === 401 || status === 403 ? "logged_out" : otherwise);
  }

  refuse(message) {
    this.wait(false);
    this.clear();
    if (this.problem.hidden || this.problemText.textContent !== message) this.problemText.textContent = message;
    this.problem.hidden = false;
  }

  /** What failed for want of contact is asked for again by itself: its reader may be looking at something else. */
  waitForContact() {
    this.refuse(this.text("lost"));
    this.again = setTimeout(() => this.tryAgain(true), AGAIN_AFTER_MS);
  }

  /** `isAgain`: by itself; what is said stays until it is true no more, so that it is not read aloud each time. */
  tryAgain(isAgain = false) {
    clearTimeout(this.again);
    this.failures.clear();
    if (!isAgain) this.problem.hidden = true;
    if (this.series) this.go(this.target);
    else this.open(isAgain);
  }

  /** Something of the person has come, changed or gone: pictures that are not this person's any more, or are rejected,
   * do not stay under the name. */
  async check() {
    const { series } = this;
    if (!series) return;
    let left = null;
    try {
      const answer = await fetch(this.opened, { headers: { Accept: "application/json" } });
      if (answer.ok) left = new Set((await answer.json()).frames.map((frame) => frame.url));
      else if (answer.status === 404) left = new Set();
    } catch {
      return; // the page asks again, and is covered meanwhile
    }
    if (series !== this.series || !left || series.frames.every((frame) => left.has(frame.url))) return;
    this.forget();
    this.refuse(this.text("withdrawn"));
  }

  // -- which picture -------------------------------------------------------------------------------------

  windowOf(index) {
    return this.series.frames[index].window ?? this.series.window;
  }

  keyOf(index) {
    return `${index}|${this.windowText()}`;
  }

  windowText() {
    const asked = this.window;
    return asked ? `${round(asked.center)},${round(asked.width)},${this.isExact() ? "linear-exact" : "linear"}` : "";
  }

  isExact() {
    return (this.series.window?.function ?? "LINEAR") !== "LINEAR";
  }

  urlOf(index) {
    const url = this.series.frames[index].url;
    const asked = this.windowText();
    return asked ? `${url}${url.includes("?") ? "&" : "?"}window=${asked}` : url;
  }

  go(index) {
    if (!this.series) return;
    const target = clamp(index, 0, this.series.frames.length - 1);
    if (target !== this.target) this.direction = target > this.target ? 1 : -1;
    this.target = target;
    if (this.failures.get(this.keyOf(target)) === "") this.failures.delete(this.keyOf(target));
    this.slider.value = target + 1;
    this.slider.setAttribute("aria-valuetext",
      `${this.text("picture")} ${target + 1} ${this.text("of")} ${this.series.frames.length}`);
    this.settle();
  }

  /** Shows the target if it is here, says that it is on its way if not, and fetches what comes next. */
  settle() {
    const key = this.keyOf(this.target);
    const ready = this.shelf.bitmap(key);
    if (ready) this.show(this.target, key, ready);
    else if (this.shelf.has(key)) this.decode(this.target, key);
    else if (this.failures.has(key)) this.fail(key);
    else this.wait(true);
    this.pump();
  }

  /** Indices in the order in which they are wanted. */
  *wanted() {
    const count = this.series.frames.length;
    const inside = (index) => index >= 0 && index < count;
    yield this.target;
    const reach = count <= WHOLE_STACK && !this.dragged && this.shelf.holds(count) ? count : AHEAD;
    for (let step = 1; step <= Math.max(reach, AHEAD); step++) {
      const ahead = this.target + this.direction * step;
      if (this.playing) yield (this.target + step) % count;
      else if (inside(ahead)) yield ahead;
      if (step <= BEHIND || step > AHEAD) {
        const behind = this.target - this.direction * step;
        if (inside(behind)) yield behind;
      }
    }
  }

  pump() {
    if (!this.series) return;
    if (this.dragged) return this.loadTargetAlone();
    const missing = [];
    for (const index of this.wanted()) {
      const key = this.keyOf(index);
      if (!this.shelf.has(key) && !this.failures.has(key)) missing.push([index, key]);
      if (missing.length >= MOST_AT_ONCE) break;
    }
    const keys = new Set(missing.map(([, key]) => key));
    const isUrgent = missing.length > 0 && missing[0][0] === this.target && !this.loads.has(missing[0][1]);
    for (const [key, load] of this.loads)
      if (isUrgent && !keys.has(key) && this.loads.size >= MOST_AT_ONCE) {
        load.abort();
        this.loads.delete(key);
      }
    for (const [index, key] of missing) {
      if (this.loads.size >= MOST_AT_ONCE) break;
      if (!this.loads.has(key)) this.load(index, key);
    }
  }

  /** While the window is dragged: one request at a time, always for where the hand is now. */
  loadTargetAlone() {
    const key = this.keyOf(this.target);
    if (this.loads.size === 0 && !this.shelf.has(key) && !this.failures.has(key)) this.load(this.target, key);
  }

  async load(index, key) {
    const { series, loads, failures, shelf } = this;
    const load = new AbortController();
    loads.set(key, load);
    try {
      const answer = await fetch(this.urlOf(index), { signal: load.signal });
      const type = answer.headers.get("content-type") ?? "";
      if (answer.ok && type.startsWith("image/")) shelf.put(key, await answer.blob());
      else failures.set(key, PASSING.has(answer.status) ? "" : this.reason(answer.status, "failed"));
    } catch (error) {
      if (error.name === "AbortError") return;
      failures.set(key, "");
    } finally {
      if (loads.get(key) === load) loads.delete(key);
    }
    if (series !== this.series) return;
    if (shelf.has(key)) {
      if (this.isWelcome(index, key)) this.decode(index, key);
    } else if (key === this.keyOf(this.target)) this.fail(key);
    this.pump();
  }

  /** Whether a picture that came may be shown: the one that is looked for, or on the way to it. */
  isWelcome(index, key) {
    if (key === this.keyOf(this.target)) return true;
    if (this.dragged) return index === this.target;
    if (key !== this.keyOf(index) || !this.shown || this.shown.windowText !== this.windowText()) return false;
    return Math.abs(index - this.target) < Math.abs(this.shown.index - this.target);
  }

  async decode(index, key) {
    const { series, failures, shelf } = this;
    let bitmap = null;
    try {
      bitmap = await shelf.decoded(key);
    } catch {
      failures.set(key, this.text("failed"));
    }
    if (series !== this.series) return;
    if (!bitmap) {
      if (failures.has(key) && key === this.keyOf(this.target)) this.fail(key);
      return;
    }
    if (this.isWelcome(index, key)) this.show(index, key, bitmap);
  }

  // -- what is seen --------------------------------------------------------------------------------------

  /** Picture and caption change together, here and nowhere else. */
  show(index, key, bitmap) {
    const windowText = key.slice(key.indexOf("|") + 1);
    const [center, width] = windowText.split(",").map(Number);
    const by = this.isExact() ? "LINEAR_EXACT" : "LINEAR";
    const drawn = windowText ? { center, width, function: by } : this.windowOf(index);
    this.shown = { index, key, bitmap, windowText, window: drawn };
    this.problem.hidden = true;
    if (index === this.target) this.wait(false);
    this.paint();
    this.caption(index);
    this.host.dataset.shown = String(index + 1);
    if (index === this.target && !this.playing) this.announce();
  }

  caption(index) {
    const { caption, frames } = this.series;
    const word = this.text("picture");
    // Each isolated: after a name of another direction the halves of a number would change places.
    this.who.replaceChildren(isolated(caption.patient), "  ", isolated(caption.number));
    this.what.replaceChildren(...[caption.date, caption.study, caption.series].filter(Boolean)
      .flatMap((part, place) => [place ? " · " : "", isolated(part)]));
    this.leftOut.textContent = caption.left_out ?? "";
    const label = frames[index].label ? ` · ${frames[index].label}` : "";
    this.where.textContent = `${word} ${index + 1} ${this.text("of")} ${frames.length}${label}`;
    const sides = frames[index].sides ?? this.series.sides ?? [];
    this.edges.forEach((edge, place) => (edge.textContent = this.sideText(sides[place] ?? "")));
    this.windowCaption(index);
  }

  /** Letters as words of the language: in Swedish H would be read as höger, which is the other axis. */
  sideText(letters) {
    return [...letters].map((letter) => this.text(`side_${letter}`)).join(" ");
  }

  windowCaption(index) {
    const seen = this.series.window ? this.window ?? this.windowOf(index) : null;
    const told = seen && seen.width < FINE ? (value) => decimal(value, 2) : Math.round;
    const parts = seen ? [`C ${told(seen.center)}  W ${told(seen.width)}`] : [];
    if (this.playing) parts.push(`${decimal(1000 / this.frameMs())} ${this.text("per_second")}`);
    if (this.series.caption.note) parts.push(this.series.caption.note);
    this.seen.textContent = parts.join(" · ");
  }

  announce() {
    clearTimeout(this.announcing);
    this.announcing = setTimeout(() => {
      this.live.textContent = `${this.where.textContent}. ${this.seen.textContent}`;
    }, 400);
  }

  fail(key) {
    const message = this.failures.get(key);
    this.stopPlaying();
    clearTimeout(this.again);
    if (message) this.refuse(message);
    else this.waitForContact();
    this.caption(this.target);
    this.host.dataset.shown = "";
  }

  wait(isWaiting) {
    const text = this.series ? `${this.text("loading")} ${this.text("picture").toLowerCase()} ${this.target + 1} …`
      : `${this.text("loading")} …`;
    clearTimeout(this.patience);
    if (!isWaiting) {
      this.waiting.hidden = true;
      return;
    }
    // Shown after a moment only: a flicker for every picture would hide the pictures.
    this.patience = setTimeout(() => {
      this.waiting.textContent = text;
      this.waiting.hidden = false;
    }, 150);
  }

  clear() {
    this.shown = null;
    clearTimeout(this.announcing);
    this.live.textContent = "";
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (const line of [this.who, this.what, this.leftOut, this.where, this.seen, ...this.edges]) line.textContent = "";
    this.host.dataset.shown = "";
  }

  /** As low as the names reach, which take more lines when they are long; at most to the middle. */
  captionTop() {
    const last = this.leftOut.textContent ? this.leftOut : this.what;
    const lines = this.head.offsetTop + last.offsetTop + last.offsetHeight;
    return Math.min(Math.max(CAPTION_TOP, lines), this.stage.clientHeight / 2);
  }

  paint() {
    const box = this.stage.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(box.width * ratio));
    const height = Math.max(1, Math.round(box.height * ratio));
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (!this.shown) return;
    const { bitmap } = this.shown;
    const above = this.captionTop();
    const below = captionBottom();
    const room = Math.max(1, height - (above + below) * ratio);
    const scale = Math.min(width / bitmap.width, room / bitmap.height) * this.zoom;
    const left = (width - bitmap.width * scale) / 2 + this.panX * ratio;
    const top = (height - bitmap.height * scale) / 2 + (this.panY + (above - below) / 2) * ratio;
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, left, top, bitmap.width * scale, bitmap.height * scale);
    this.preview();
  }

  /** Until the server's picture for the new window is here, the one on the screen is turned into it. */
  preview() {
    const from = this.shown?.window;
    const to = this.window ?? (this.shown ? this.windowOf(this.shown.index) : null);
    const isSame = !from || !to || (round(from.center) === round(to.center) && round(from.width) === round(to.width));
    if (isSame) {
      this.canvas.style.filter = "";
      return;
    }
    const [black, white] = ends(from);
    const [newBlack, newWhite] = ends(to);
    const isInverted = this.series.frames[this.shown.index].inverted ?? this.series.inverted;
    const slope = (white - black) / (newWhite - newBlack);
    const intercept = (isInverted ? newWhite - white : black - newBlack) / (newWhite - newBlack);
    for (const channel of this.filter.functions) {
      channel.setAttribute("slope", String(slope));
      channel.setAttribute("intercept", String(intercept));
    }
    this.canvas.style.filter = `url(#${this.name}-filter)`;
  }

  // -- window --------------------------------------------------------------------------------------------

  setWindow(asked, isDragging = false) {
    if (!this.series?.window) return;
    const isExact = this.isExact();
    const span = Math.max(isExact ? 0 : 1, Math.abs(this.series.window.width)) * 64;
    this.window = asked && {
      center: round(clamp(asked.center, this.series.window.center - span, this.series.window.center + span)),
      width: round(clamp(asked.width, isExact ? NARROWEST : 1, span)),
      function: isExact ? "LINEAR_EXACT" : "LINEAR",
    };
    const isNewHand = this.dragged !== isDragging;
    this.dragged = isDragging;
    if (this.window && !this.isPreset()) this.presets.value = "custom";
    if (this.shown) {
      this.preview();
      this.windowCaption(this.shown.index);
    }
    if (isNewHand || !isDragging) {
      const kept = this.keyOf(this.target);
      for (const [key, load] of this.loads)
        if (key !== kept) {
          load.abort();
          this.loads.delete(key);
        }
    }
    this.settle();
  }

  isPreset() {
    const row = CT_PRESETS.find(([key]) => key === this.presets.value);
    return Boolean(row) && row[1] === this.window.center && row[2] === this.window.width;
  }

  choosePreset(value) {
    const row = CT_PRESETS.find(([key]) => key === value);
    this.presets.value = value;
    this.setWindow(row ? { center: row[1], width: row[2] } : null);
  }

  nudgeWindow(centers, widths) {
    if (!this.series?.window) return;
    const now = this.window ?? this.windowOf(this.target);
    const step = this.isExact() && now.width < FINE ? now.width / 20 : Math.max(1, Math.round(now.width / 20));
    this.setWindow({ center: now.center + centers * step, width: now.width + widths * step });
  }

  // -- zoom and place ------------------------------------------------------------------------------------

  zoomBy(factor, atX = null, atY = null) {
    const box = this.stage.getBoundingClientRect();
    const x = atX === null ? 0 : atX - box.left - box.width / 2;
    const middle = box.top + (box.height + this.captionTop() - captionBottom()) / 2;
    const y = atY === null ? 0 : atY - middle;
    const zoom = clamp(this.zoom * factor, 0.25, MAX_ZOOM);
    const real = zoom / this.zoom;
    this.panX = x - (x - this.panX) * real;
    this.panY = y - (y - this.panY) * real;
    this.zoom = zoom;
    this.paint();
  }

  panBy(x, y) {
    const box = this.stage.getBoundingClientRect();
    this.panX = clamp(this.panX + x, -box.width * this.zoom, box.width * this.zoom);
    this.panY = clamp(this.panY + y, -box.height * this.zoom, box.height * this.zoom);
    this.paint();
  }

  fit() {
    this.zoom = 1;
    this.panX = this.panY = 0;
    this.paint();
  }

  reset() {
    this.stopPlaying();
    this.fit();
    if (this.series?.window) this.choosePreset("own");
  }

  // -- moving pictures -----------------------------------------------------------------------------------

  frameMs() {
    const own = this.series.frame_time_ms;
    return (own > 0 ? own : DEFAULT_FRAME_MS) / this.speed;
  }

  togglePlay() {
    if (this.playing) this.stopPlaying();
    else this.startPlaying();
  }

  startPlaying() {
    if (!this.series || this.series.frames.length < 2) return;
    this.stopPlaying();
    this.play.textContent = this.text("pause");
    this.play.setAttribute("aria-pressed", "true");
    this.direction = 1;
    this.playing = { since: null, from: this.target, request: 0 };
    this.playing.request = requestAnimationFrame((now) => this.tick(now));
  }

  /** The frame that time says. One that has not been fetched yet holds the clock: none is passed over unfetched. */
  tick(now) {
    const playing = this.playing;
    if (!playing || !this.series) return;
    const count = this.series.frames.length;
    const isHere = (index) => this.shelf.has(this.keyOf(index));
    if (playing.since === null || !isHere(this.target)) {
      playing.since = now;
      playing.from = this.target;
    } else {
      const goal = (playing.from + Math.floor((now - playing.since) / this.frameMs())) % count;
      let reached = this.target;
      while (reached !== goal && isHere((reached + 1) % count)) reached = (reached + 1) % count;
      if (reached !== goal) reached = (reached + 1) % count;
      if (reached !== this.target) this.go(reached);
      for (const ahead of [1, 2, 3]) this.shelf.decoded(this.keyOf((reached + ahead) % count)).catch(() => {});
    }
    playing.request = requestAnimationFrame((later) => this.tick(later));
  }

  stopPlaying() {
    if (!this.playing) return;
    cancelAnimationFrame(this.playing.request);
    this.playing = null;
    this.play.textContent = this.text("play");
    this.play.removeAttribute("aria-pressed");
    if (this.shown) this.windowCaption(this.shown.index);
  }

  // -- hands ---------------------------------------------------------------------------------------------

  key(event) {
    if (event.ctrlKey || event.metaKey || event.target !== this.stage) return;
    const arrows = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
    const arrow = arrows[event.key];
    if (arrow) {
      const [x, y] = arrow;
      if (event.shiftKey) this.nudgeWindow(y, x);
      else if (event.altKey) this.panBy(-x * 40, -y * 40);
      else this.step(x + y);
    } else if (/^[1-5]$/.test(event.key)) {
      const option = this.presets.options[Number(event.key) - 1];
      if (!option || option.disabled || this.presetLabel.hidden) return;
      this.choosePreset(option.value);
    } else {
      const acts = {
        PageUp: () => this.step(-10), PageDown: () => this.step(10),
        Home: () => this.step(-Infinity), End: () => this.step(Infinity),
        "+": () => this.zoomBy(1.25), "-": () => this.zoomBy(1 / 1.25), 0: () => this.fit(),
        r: () => this.reset(), R: () => this.reset(), " ": () => this.togglePlay(),
        "?": () => this.showKeys(this.help.hidden),
        ...(this.help.hidden ? {} : { Escape: () => this.showKeys(false) }),
      };
      if (!acts[event.key]) return;
      acts[event.key]();
    }
    event.preventDefault();
  }

  step(count) {
    const before = this.target;
    this.stopPlaying();
    this.go(this.target + count);
    if (!this.series || !document.querySelector("[data-together]")?.checked) return;
    const share = (this.target - before) / this.series.frames.length;
    for (const other of viewers.values()) if (other !== this) other.follow(share);
  }

  /** Another stack of the page has moved by this share of itself; what is less than a picture is kept for the next. */
  follow(share) {
    if (!this.series) return;
    this.owed = (this.owed ?? 0) + share * this.series.frames.length;
    const whole = Math.round(this.owed);
    if (!whole) return;
    this.owed -= whole;
    this.stopPlaying();
    this.go(this.target + whole);
  }

  wheel(event) {
    event.preventDefault();
    if (event.ctrlKey) return this.zoomBy(Math.exp(-event.deltaY / 200), event.clientX, event.clientY);
    // A notch of a wheel is 100 or more; a touchpad sends many small ones that are added up.
    const unit = event.deltaMode === 0 ? 1 : 100;
    this.turned = (this.turned ?? 0) + event.deltaY * unit;
    const steps = Math.trunc(this.turned / 50);
    if (!steps) return;
    this.turned = 0;
    this.step(Math.abs(event.deltaY * unit) >= 50 ? Math.sign(steps) : steps);
  }

  pointerDown(event) {
    if (event.target.closest("button, .quickviewer-keys")) return;
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.stage.focus({ preventScroll: true });
    const isTouch = event.pointerType === "touch";
    const many = this.series && this.series.frames.length > 1;
    const touchTool = this.zoom > 1.01 ? "pan" : many ? "scroll" : this.tool;
    this.act = event.button === 2 ? "zoom" : event.button === 1 ? "pan" : isTouch ? touchTool : this.tool;
    this.travelled = 0;
    if (this.act === "window" && this.series?.window)
      this.windowStart = { ...(this.window ?? this.windowOf(this.target)), x: event.clientX, y: event.clientY };
  }

  pointerMove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const x = event.clientX - before.x;
    const y = event.clientY - before.y;
    if (this.pointers.size === 2) this.pinch(event, before);
    else if (this.act === "pan") this.panBy(x, y);
    else if (this.act === "zoom") this.zoomBy(Math.exp(-y / 150));
    else if (this.act === "scroll") this.dragScroll(y);
    else if (this.act === "window" && this.windowStart) {
      const start = this.windowStart;
      const isFine = this.isExact() && start.width < FINE;
      const unit = Math.max(start.width / 256, isFine ? 0 : 0.5);
      const whole = isFine ? round : Math.round;
      this.setWindow({
        center: whole(start.center + (event.clientY - start.y) * unit),
        width: whole(start.width + (event.clientX - start.x) * unit),
      }, true);
    }
    before.x = event.clientX;
    before.y = event.clientY;
  }

  dragScroll(y) {
    const count = this.series?.frames.length ?? 1;
    const perPicture = clamp(this.stage.clientHeight / count, 4, 40);
    this.travelled += y;
    const steps = Math.trunc(this.travelled / perPicture);
    if (steps) {
      this.travelled -= steps * perPicture;
      this.step(steps);
    }
  }

  pinch(event, before) {
    const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
    const far = Math.hypot(event.clientX - other.x, event.clientY - other.y);
    const near = Math.hypot(before.x - other.x, before.y - other.y);
    this.panBy((event.clientX - before.x) / 2, (event.clientY - before.y) / 2);
    if (near > 0) this.zoomBy(far / near, (event.clientX + other.x) / 2, (event.clientY + other.y) / 2);
  }

  pointerUp(event) {
    this.pointers.delete(event.pointerId);
    if (this.dragged && this.window) this.setWindow(this.window);
    this.windowStart = null;
    if (this.pointers.size === 0) this.act = null;
  }

  end() {
    this.stopPlaying();
    this.life.abort();
    this.opening.abort();
    this.opening = null;
    this.series = null;
    for (const load of this.loads.values()) load.abort();
    this.sizes.disconnect();
    clearTimeout(this.patience);
    clearTimeout(this.announcing);
    clearTimeout(this.again);
  }
}

/** The levels that a window makes black and white (PS3.3 C.11.2.1.2 and C.11.2.1.3; linear where nothing is said). */
function ends({ center, width, function: by = "LINEAR" }) {
  const [middle, span] = by === "LINEAR" ? [center - 0.5, Math.max(width - 1, 0.01)] : [center, width];
  return [middle - span / 2, middle + span / 2];
}

const isolated = (text) => element("bdi", { textContent: text });
const round = (value) => Math.round(value * 100) / 100;
const decimal = (value, maximumFractionDigits = 1) =>
  value.toLocaleString(document.documentElement.lang || "sv", { maximumFractionDigits });

const viewers = new Map();

/** Makes viewers of the elements that have none, follows changed addresses, ends those that left the page. */
export function refresh() {
  for (const [host, viewer] of viewers)
    if (!host.isConnected) {
      viewer.end();
      viewers.delete(host);
    }
  for (const host of document.querySelectorAll(".quickviewer[data-series-url]")) {
    const viewer = viewers.get(host);
    if (!viewer) viewers.set(host, new Quickviewer(host));
    else if (viewer.opened !== host.dataset.seriesUrl) viewer.open();
  }
}

document.addEventListener("samsyn:changed", () => { for (const viewer of viewers.values()) viewer.check(); });
new MutationObserver(refresh).observe(document.documentElement, {
  attributeFilter: ["data-series-url"], attributes: true, childList: true, subtree: true,
});
refresh();
