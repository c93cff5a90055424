/* What the pages need beyond links and forms: a few keys, one send per form, and parts that are put anew without
 * taking anything out of the reader's hands. Loaded with `defer`. */

const CLICK_WITHIN_MS = 300; // a finger's click comes after it has been lifted
const AGAIN_AFTER_MS = 2000;

const isTyping = (target) => target.closest("input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]");

function step(by) {
  const entries = [...document.querySelectorAll("a[data-entry]")].filter((each) => each.offsetParent);
  if (!entries.length) return;
  const focused = entries.indexOf(document.activeElement);
  const current = focused >= 0 ? focused : entries.findIndex((each) => each.getAttribute("aria-current"));
  const next = entries[Math.min(entries.length - 1, Math.max(0, current + by))];
  next.focus();
}

/** The next or previous series on the page of pictures. */
function series(by) {
  const links = [...document.querySelectorAll(".reading-list a[data-pictures]")];
  links[links.findIndex((each) => each.getAttribute("aria-current")) + by]?.click();
}

document.addEventListener("keydown", (event) => {
  // Whoever speaks to the computer has words taken for keys, and can switch them off (WCAG 2.1.4).
  if (document.body.dataset.keys === "off") return;
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  // While the page is covered, a field is not left by its reader: what is typed on is no wish.
  if (document.querySelector("main")?.inert) return;
  const click = (selector) => {
    const found = document.querySelector(selector);
    found?.click();
    return found;
  };
  const acts = {
    n: () => series(1),
    p: () => series(-1),
    u: () => click("a[data-key='u']"),
    s: () => {
      const field = document.querySelector("#number");
      if (field) field.focus();
      else click("a[data-key='s']");
    },
    j: () => step(1),
    k: () => step(-1),
    b: () => click("a[data-whole]") ?? click("a[data-pictures]"),
    "?": () => click("a[data-key='?']"),
  };
  const act = acts[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});

// A series opens beside the report where there is room; otherwise, and with a modifier key, on its own page.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-stack]");
  const stage = document.querySelector("#stage");
  if (!link || !stage || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  if (!window.matchMedia("(min-width: 75em)").matches) return;
  event.preventDefault();
  let viewer = stage.querySelector(".quickviewer");
  if (!viewer) {
    viewer = document.createElement("div");
    viewer.className = "quickviewer";
    viewer.dataset.seriesUrl = link.dataset.stack;
    stage.append(viewer);
    stage.hidden = false;
  }
  viewer.dataset.seriesUrl = link.dataset.stack;
  const whole = document.querySelector("a[data-whole]");
  if (whole) whole.href = link.href;
  for (const each of document.querySelectorAll("a[data-stack]")) each.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
  });

// A hurried second click must not register twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  // A file that is fetched leaves the page as it is: its form goes on working.
  if (form.hasAttribute("hx-post") || event.submitter?.hasAttribute("data-file")) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});

// Going back to a page that answered a form, or loading it again, would ask to send the form once more: where it stood,
// the history has the page that it belongs to.
const posted = document.body.dataset.posted;
if (posted) history.replaceState(null, "", posted);

// Back in the browser's history shows a page from memory, and whoever stops the loading stays: what was sent may be
// sent again.
const unsend = () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
window.addEventListener("pageshow", unsend);
window.navigation?.addEventListener("navigateerror", unsend);

// An answer that would put anew what is being pressed waits until the pointer is let go; otherwise the press is lost.
let pressed = null;
let letGoLater = null;
const waiting = new Map(); // element that asked -> the latest answer

function letGo() {
  pressed = null;
  for (const [asked, context] of waiting) {
    waiting.delete(asked);
    htmx.swap(context);
  }
}

document.addEventListener("pointerdown", (event) => {
  clearTimeout(letGoLater);
  pressed = event.target;
}, true);
document.addEventListener("pointerup", () => { letGoLater = setTimeout(letGo, CLICK_WITHIN_MS); }, true);
document.addEventListener("click", () => setTimeout(letGo), true);
document.addEventListener("pointercancel", letGo, true);
window.addEventListener("blur", letGo);

document.addEventListener("htmx:before:swap", (event) => {
  const { ctx, tasks } = event.detail;
  waiting.delete(ctx.sourceElement);
  if (!pressed || !tasks.some((each) => each.target?.contains?.(pressed))) return;
  event.preventDefault();
  waiting.set(ctx.sourceElement, ctx);
});

// Until its answer is here, a part is not what was asked for.
document.addEventListener("htmx:before:request", (event) => {
  event.detail.ctx.target?.setAttribute("aria-busy", "true");
});

// A part that was put anew is not read aloud as a whole: what it says of itself is, in an element that stays.
document.addEventListener("htmx:after:swap", () => {
  const said = document.querySelector("#said");
  const says = document.querySelector("[data-says]");
  if (said && says && said.textContent !== says.textContent) said.textContent = says.textContent;
});

// A part that is refused is asked for as a page, which says what is the matter.
document.addEventListener("htmx:response:error", (event) => {
  const asked = event.detail.ctx.sourceElement;
  if (asked.matches("form")) asked.submit();
  else if (asked.matches("a")) window.location.assign(asked.href);
});

document.addEventListener("htmx:error", (event) => {
  const form = event.detail.ctx?.sourceElement;
  if (form?.matches("form")) setTimeout(() => htmx.trigger(form, "submit"), AGAIN_AFTER_MS);
});

// What is jumped to, and what stays beside, begins below the patient's banner, however many lines that has.
const banner = document.querySelector(".patient");
if (banner) {
  new ResizeObserver(() => {
    document.documentElement.style.setProperty("--banner-now", `${banner.offsetHeight}px`);
  }).observe(banner);
}

// The list opens where the shown examination is.
const list = document.querySelector(".list-column");
const current = list?.querySelector("[data-current]");
if (current) {
  const above = current.getBoundingClientRect().top - list.getBoundingClientRect().top;
  list.scrollTop += above - (list.clientHeight - current.clientHeight) / 2;
}
