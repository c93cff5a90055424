/* What the pages need beyond links and forms: a few keys, and one send per form. Loaded with `defer`. */

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
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const click = (selector) => {
    const found = document.querySelector(selector);
    found?.click();
    return found;
  };
  const acts = {
    n: () => series(1),
    p: () => series(-1),
    u: () => click("a[data-key='u']"),
    s: () => document.querySelector("#number")?.focus() ?? click("a[data-key='s']"),
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

// Back in the browser's history shows a page from memory: its forms may be sent again.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
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
