/**
 * Small tools for building and finding elements. Text is always set as text, so nothing from the API becomes markup.
 */

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  check: "M3.5 8.5l3 3 6-7",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  arrow: "M5 3.5h7.5V11M12.5 3.5l-9 9",
  wallet: "M2 5h11a1 1 0 0 1 1 1v6.5a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1zm0 0V4a1.5 1.5 0 0 1 1.5-1.5H12V5M11 9.2h.6",
  flask: "M6 2h4M6.8 2v4L3 12.6A1 1 0 0 0 3.9 14h8.2a1 1 0 0 0 .9-1.4L9.2 6V2M4.8 10h6.4",
  plus: "M8 3v10M3 8h10",
  sheet: "M4 2h5.5L12.5 5v9h-8.5zM6 7.5h4.5M6 10.5h4.5",
};

/** @returns {HTMLElement} the element with that id; a missing one is a fault of the page and throws */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found;
}

/** An element with attributes and children; a null attribute is left out, a function becomes a listener. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    if (typeof value === "function") made.addEventListener(name, value);
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A 16-unit line drawing, hidden from assistive technology: the words beside it say the same. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** Sets text only where it differs, so that live regions do not repeat themselves. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A button that copies `text` and says so for two seconds. */
export function copyButton(text, what) {
  const label = el("span", { class: "visually-hidden", "aria-live": "polite" }, `Copy ${what}`);
  const button = el("button", { type: "button", class: "copy", title: `Copy ${what}` }, icon("copy"), label);
  button.addEventListener("click", async () => {
    const copied = await toClipboard(text);
    button.dataset.copied = copied ? "yes" : "no";
    button.replaceChildren(icon(copied ? "check" : "copy"), label);
    label.textContent = copied ? `Copied ${what}` : "Copying is not allowed here";
    setTimeout(() => {
      delete button.dataset.copied;
      button.replaceChildren(icon("copy"), label);
      label.textContent = `Copy ${what}`;
    }, 2000);
  });
  return button;
}

async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** "0x1234…abcd", for places where the whole address stands elsewhere on the page. */
export function shortened(address) {
  return address.length > 14 ? `${address.slice(0, 6)}…${address.slice(-4)}` : address;
}

/** Hands the browser a file to keep. */
export function saveFile(blob, name) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
