"use strict";
// Search, filter by severity, deep links, light and dark, keyboard. Without it the page shows everything.
(() => {
  const all = (what, from = document) => [...from.querySelectorAll(what)];
  const body = document.body;
  const search = document.querySelector("input[type=search]");
  const boxes = all(".tools input[type=checkbox]");

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const off = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
    for (const one of all("[data-find]")) {
      const text = one.dataset.find.toLowerCase();
      one.hidden = !words.every((word) => text.includes(word));
    }
    for (const check of all(".check")) {
      check.hidden = off.has(check.dataset.severity) || all(".finding", check).every((one) => one.hidden);
    }
    for (const more of all("details.alike, details.flat")) {
      const left = all("[data-find]", more).some((one) => !one.hidden);
      more.hidden = !left;
      more.open = left && words.length > 0;
    }
  }
  search.addEventListener("input", filter);
  boxes.forEach((box) => box.addEventListener("change", filter));

  // #U001-layers.3.weight leads to the finding that is about it, though its title be layers.{0..3}.weight
  function follow() {
    const wanted = decodeURIComponent(location.hash.slice(1));
    if (!wanted) return;
    const dash = wanted.indexOf("-");
    const [code, name] = [wanted.slice(0, dash), wanted.slice(dash + 1)];
    const found =
      document.getElementById(wanted) ||
      all(".finding").find((one) => {
        const words = one.dataset.find.split(" ");
        return words[0] === code && words.includes(name);
      });
    if (!found) return;
    if (found.closest("[hidden]")) {
      search.value = "";
      boxes.forEach((box) => (box.checked = true));
      filter();
    }
    found.scrollIntoView({ block: "start" });
    found.focus({ preventScroll: true });
  }
  addEventListener("hashchange", follow);
  follow();

  function theme(name) {
    if (name) body.dataset.theme = name;
  }
  let kept = null;
  try { kept = localStorage.getItem("initium-theme"); } catch { /* a page opened from a file may have no storage */ }
  theme(kept);
  document.querySelector(".theme").addEventListener("click", () => {
    const dark = body.dataset.theme ? body.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    theme(dark ? "light" : "dark");
    try { localStorage.setItem("initium-theme", body.dataset.theme); } catch { /* as above */ }
  });

  // What a point says: at once under the pointer, and with the arrow keys in a figure that has the focus.
  const said = document.createElement("div");
  said.className = "said";
  said.hidden = true;
  document.querySelector("main").append(said);
  let here = null;
  function show(circle) {
    if (here) here.classList.remove("here");
    here = circle;
    said.hidden = !circle;
    if (!circle) return;
    circle.classList.add("here");
    said.textContent = circle.dataset.said;
    const at = circle.getBoundingClientRect();
    said.style.left = Math.max(8, Math.min(at.left + 12, innerWidth - said.offsetWidth - 8)) + "px";
    said.style.top = (at.top > said.offsetHeight + 16 ? at.top - said.offsetHeight - 8 : at.bottom + 8) + "px";
  }
  for (const figure of all("svg.depth, svg.map")) {
    const circles = all("circle", figure);
    for (const circle of circles) {
      const title = circle.querySelector("title");
      circle.dataset.said = title.textContent;
      title.remove();
    }
    figure.addEventListener("pointermove", (event) => {
      const at = (one) => one.getBoundingClientRect();
      let [best, least] = [null, 18];
      for (const circle of circles) {
        const box = at(circle);
        const far = Math.hypot(box.left + box.width / 2 - event.clientX, box.top + box.height / 2 - event.clientY);
        if (far < least) [best, least] = [circle, far];
      }
      show(best);
    });
    figure.addEventListener("pointerleave", () => show(null));
    figure.addEventListener("blur", () => show(null));
    figure.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const place = circles.indexOf(here);
      show(circles[Math.max(0, Math.min(circles.length - 1, place < 0 ? 0 : place + step))]);
    });
  }
  addEventListener("scroll", () => show(null), { passive: true });

  // / searches, Escape clears, j and k go from finding to finding
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === search) {
      if (event.key === "Escape") { search.value = ""; filter(); search.blur(); }
      return;
    }
    if (event.key === "/") { event.preventDefault(); search.focus(); }
    const step = { j: 1, k: -1 }[event.key];
    if (!step) return;
    const shown = all(".finding").filter((one) => !one.closest("[hidden]"));
    const place = shown.indexOf(document.activeElement);
    const next = shown[place < 0 ? 0 : Math.max(0, Math.min(shown.length - 1, place + step))];
    if (next) { next.focus({ preventScroll: true }); next.scrollIntoView({ block: "center" }); }
  });
})();
