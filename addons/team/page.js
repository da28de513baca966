"use strict";
// Keeps the page as it is on the gateway: every few seconds while somebody looks. What is open stays open.
(() => {
  const EVERY = 4000;
  const root = document.documentElement, main = document.querySelector("main"), live = document.querySelector(".live");
  if (!main || !live) return;
  root.classList.add("js");
  let timer = 0;

  const say = (words, lost) => {
    live.classList.toggle("lost", lost);
    live.lastElementChild.textContent = words;
  };
  const take = (html) => {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    for (const open of main.querySelectorAll("details[open]")) {
      const same = open.id && fresh.getElementById(open.id);
      if (same) same.open = true;
    }
    const scrolled = new Map([...main.querySelectorAll(".scroll")].map((one) => [one.dataset.of, one.scrollLeft]));
    main.replaceChildren(...fresh.body.childNodes);
    for (const one of main.querySelectorAll(".scroll")) one.scrollLeft = scrolled.get(one.dataset.of) || 0;
  };
  const busy = () => String(getSelection()) || main.contains(document.activeElement) || main.querySelector(".day:hover");
  const look = async () => {
    clearTimeout(timer);
    timer = 0;
    try {
      if (!busy()) {
        const answer = await fetch("live" + location.search, { credentials: "same-origin", cache: "no-store" });
        if (answer.status === 401) return location.reload();
        if (!answer.ok) throw new Error(answer.status);
        take(await answer.text());
        say("live", false);
      }
    } catch {
      say("no connection", true);
    }
    next();
  };
  const next = () => {
    if (!timer && !document.hidden) timer = setTimeout(look, EVERY);
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? (clearTimeout(timer), (timer = 0)) : look()));
  next();
})();
