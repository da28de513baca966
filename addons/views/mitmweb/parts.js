// What the scripts of this page share: mitmweb's store, elements, numbers in words.

export const store = window.backend?.store; // mitmweb's own, which it puts there

export const el = (name, className = "", ...children) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children.filter((one) => one !== "" && one != null));
  return made;
};

export const one = (selector, from = document) => from.querySelector(selector);

export const selected = () => store.getState().flows.selected;

export const command = async (name, ...args) => {
  const token = document.cookie.match(/\b_mitmproxy_xsrf=([^;]*)/)?.[1] ?? "";
  const answer = await fetch(`/commands/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-XSRFToken": token },
    body: JSON.stringify({ arguments: args }),
  });
  const said = await answer.json();
  if (said.error) throw new Error(said.error);
  return said.value;
};

export const seconds = (value) => {
  if (value < 0.095) return `${Math.round(value * 1000)} ms`;
  if (value < 9.95) return `${value.toFixed(1)} s`;
  if (value < 99.5) return `${Math.round(value)} s`;
  const whole = Math.round(value), minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}:${String(whole % 60).padStart(2, "0")} min`
    : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")} h`;
};

export const short = (count) =>
  count < 1000 ? String(count) : count < 999_950 ? `${(count / 1000).toFixed(1)}k` : `${(count / 1e6).toFixed(1)}M`;

export const clock = (at) => {
  const time = new Date(at * 1000), two = (number) => String(number).padStart(2, "0");
  const words = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return time.toDateString() === new Date().toDateString()
    ? words : `${time.toLocaleDateString("en", { day: "numeric", month: "short" })} ${words.slice(0, 5)}`;
};

let fading = 0;
export const tell = (words, bad = false) => {
  one(".gw-said")?.remove();
  clearTimeout(fading);
  const said = el("div", `gw-said${bad ? " gw-bad" : ""}`, words);
  said.setAttribute("role", "status");
  document.body.append(said);
  fading = setTimeout(() => said.remove(), 4000);
};
