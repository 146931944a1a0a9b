/** The link to a purchase: to keep, and as a QR code for another device. */

import { copyButton } from "./copy.js";
import { byId, setText } from "./dom.js";
import { type Page, pathOf } from "./page.js";

const SVG = "http://www.w3.org/2000/svg";
const QUIET = 4;

/** Show a purchase's id and link; the QR code is drawn when it is asked for. */
export function showIdentity(page: Page, id: string): void {
  byId("purchase-copy").replaceChildren(copyButton(page, id, page.words.purchase));
  const url = new URL(pathOf(id, page.parameters), location.href).href;
  setText(byId("link-url"), url);
  byId("link-copy").replaceChildren(copyButton(page, url, page.words.link));
  const code = byId("link-qr");
  code.replaceChildren();
  byId<HTMLDetailsElement>("link").ontoggle = () => {
    if (code.childElementCount === 0 && byId<HTMLDetailsElement>("link").open) void draw(page, url, code);
  };
}

async function draw({ words }: Page, url: string, place: Element): Promise<void> {
  const { encode } = await import("uqr");
  const { data, size } = encode(url, { border: QUIET, ecc: "M" });
  const path = data.flatMap((cells, y) => cells.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : []))).join("");
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", words.link_qr);
  svg.setAttribute("shape-rendering", "crispEdges");
  const cells = document.createElementNS(SVG, "path");
  cells.setAttribute("d", path);
  svg.append(cells);
  place.replaceChildren(svg);
}
