// How values are written: amounts grouped, times local with UTC beside them, addresses shortened. All results are text.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const utcClock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC" });
const utcDay = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

/** Group the digits of decimal text: "1234567.8" becomes "1,234,567.80". It stays text, so no digit is lost. */
export function grouped(text, decimals = 2) {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(text ?? ""));
  if (!match) return String(text ?? "");
  const whole = match[2].replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  const fraction = (match[3] ?? "").replace(/0+$/, "").padEnd(decimals, "0");
  return `${match[1]}${whole}${fraction ? `.${fraction}` : ""}`;
}

/** The same, cut to six decimals with an ellipsis where there are more. */
export function brief(text) {
  const full = grouped(text);
  const dot = full.indexOf(".");
  return dot >= 0 && full.length - dot > 7 ? `${full.slice(0, dot + 7)}…` : full;
}

export function shortened(text) {
  return text.length > 16 ? `${text.slice(0, 6)}…${text.slice(-4)}` : text;
}

export function isLong(text) {
  return typeof text === "string" && text.length > 16;
}

/** Return a moment's parts: local day and time, and the same in UTC. */
export function moment(iso) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return { local: String(iso), utc: "" };
  const today = day.format(new Date()) === day.format(at);
  const sameDay = at.getDate() === at.getUTCDate();
  return {
    local: `${today ? "" : `${day.format(at)}, `}${clock.format(at)}`,
    utc: `${sameDay ? "" : `${utcDay.format(at)}, `}${utcClock.format(at)} UTC`,
  };
}

/** How long ago, or until: "4 min", "3 h", "2 days". */
export function duration(seconds) {
  const size = Math.abs(seconds);
  if (size < 90) return `${Math.round(size)} s`;
  if (size < 5400) return `${Math.round(size / 60)} min`;
  if (size < 172_800) return `${Math.round(size / 3600)} h`;
  return `${Math.round(size / 86_400)} days`;
}

export const age = (iso) => duration((Date.now() - Date.parse(iso)) / 1000);

/** "awaiting_approval" becomes "awaiting approval". */
export const words = (code) => String(code ?? "").replace(/[_.]/g, " ");

/** Write a value as one cell of CSV (RFC 4180). A leading sign that a spreadsheet would run as a formula gets an apostrophe. */
export function csvCell(value) {
  let text = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
  if (/^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

export function csv(columns, rows) {
  const lines = [columns.map((column) => csvCell(column.title)), ...rows.map((row) => columns.map((column) => csvCell(column.value(row))))];
  return `${lines.map((line) => line.join(",")).join("\r\n")}\r\n`;
}
