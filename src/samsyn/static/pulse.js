/* An open page asks whether it may still show what it shows, and closes itself when it may not. Loaded with `defer`. */

const page = document.body;
const every = Number(page.dataset.pulseMs);
const FAILURES_BEFORE_COVER = 2;
const title = document.title;
const USE_TOLD_EACH_MS = 60_000;
let state = page.dataset.state; // of what is shown, as it was heard of last
let failures = 0;
let isUsed = false; // since use was told last
let isEnding = false;
let useTold = performance.now();
let left = null; // what the reader was at when the page was covered
let isOver = false;

const note = (name, isShown) => {
  for (const each of document.querySelectorAll(`[data-note="${name}"]`)) each.hidden = !isShown;
};

// What is shown goes away with everything that holds it: pictures, frames, the diagnostic viewer's window.
function close(why) {
  isOver = true;
  const message = document.querySelector(`template[data-closed="${why}"]`).content.cloneNode(true);
  if (why !== "changed") document.querySelector(".patient")?.remove();
  if (why === "out") document.querySelector(".head")?.remove();
  for (const each of document.querySelectorAll("[data-note]")) each.remove();
  document.querySelector("main").replaceWith(message);
  page.className = "";
  document.querySelector("main h1").focus();
}

function cover(isCovered) {
  note("lost", isCovered);
  const main = document.querySelector("main");
  if (main.inert === isCovered) return;
  if (isCovered) left = document.activeElement;
  main.inert = isCovered;
  main.classList.toggle("covered", isCovered);
  if (!isCovered && document.activeElement === page) left?.focus({ preventScroll: true });
}

/** What the page has told, with its parts that were put anew since. */
function toldNow() {
  const marks = [page.dataset.shown, ...[...document.querySelectorAll("[data-told]")].map((each) => each.dataset.told)];
  return new Set(marks.join(" ").split(" ").filter(Boolean));
}

// Whoever reads what has been fetched already, or writes in a field, uses the session without asking the server.
function heed(target) {
  for (const each of ["keydown", "pointerdown", "click", "wheel", "touchmove"])
    target?.addEventListener(each, () => { isUsed = true; }, { capture: true, passive: true });
}

async function ask() {
  const told = toldNow();
  const tellsUse = isUsed && (isEnding || performance.now() - useTold >= USE_TOLD_EACH_MS);
  const headers = { accept: "application/json", ...(tellsUse && { "samsyn-used": "yes" }) };
  const answer = await fetch(page.dataset.pulse, {
    cache: "no-store", headers, redirect: "error", signal: AbortSignal.timeout(2 * every),
  });
  if (answer.status === 401) return close("out");
  if (answer.status === 403 || answer.status === 404) return close("gone");
  if (!answer.ok) throw new Error(answer.statusText);
  if (answer.status === 200) {
    const now = await answer.json();
    const shown = new Set(now.shown);
    if ([...told].some((mark) => !shown.has(mark))) return close("changed");
    const isMore = [...shown].some((mark) => !told.has(mark));
    const isNews = Boolean(page.dataset.state) && now.state !== page.dataset.state;
    if (now.state !== state) {
      state = now.state;
      document.dispatchEvent(new Event("samsyn:changed"));
    }
    note("more", isMore);
    note("news", isNews && !isMore);
    document.title = (isMore || isNews ? "● " : "") + title;
  }
  if (tellsUse) {
    isUsed = false;
    useTold = performance.now();
  }
  const ends = answer.headers.get("samsyn-ends");
  isEnding = ends === "unused";
  note("ending", isEnding);
  note("over", ends === "anyhow");
  failures = 0;
  cover(false);
}

async function beat() {
  // A page that nobody sees asks nothing; before it is seen again it asks.
  if (isOver || document.visibilityState !== "visible") return;
  try {
    await ask();
  } catch {
    failures += 1;
    if (failures >= FAILURES_BEFORE_COVER && !isOver) cover(true);
  }
}

async function beatForEver() {
  while (!isOver) {
    await new Promise((resolve) => setTimeout(resolve, every));
    await beat();
  }
}

heed(document);
for (const frame of document.querySelectorAll("iframe")) {
  heed(frame.contentDocument);
  frame.addEventListener("load", () => heed(frame.contentDocument));
}
document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") beat(); });
window.addEventListener("pageshow", (event) => { if (event.persisted) beat(); });
beatForEver();
