/** Small tools for finding and building elements. Text is always set as text, so nothing from the service becomes markup. */

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

export type IconName = keyof typeof PATHS;
type Attributes = Record<string, string | null | undefined | ((event: Event) => void)>;

/** Return the element with this id; one that is missing is a fault of the page. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element #${id}`);
  return element as E;
}

/** Make an element; an attribute that is null is left out, a function becomes a listener. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string | null)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Make a line drawing, hidden from assistive technology: the words beside it say the same. */
export function icon(name: IconName): SVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** Set a text only where it differs, so that live regions do not repeat themselves. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Return whether a URL is one of the web, so that a link may lead there. A scheme may be written in capitals. */
export const isOfTheWeb = (url: string): boolean => /^https?:\/\//i.test(url);

/** Shorten an address to "0x1234…abcd", for places where the whole address stands elsewhere on the page. */
export function shortened(address: string): string {
  return address.length > 14 ? `${address.slice(0, 6)}…${address.slice(-4)}` : address;
}

/** Give the browser a file to keep. */
export function saveFile(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
