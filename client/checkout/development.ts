/**
 * Two wallets to try everything with, of keys that everybody knows: served in development alone, and never to hold anything.
 *
 * They sign what real ones sign, EIP-191 and BIP-137, in plain arithmetic: slow, and open to whoever can time it.
 */

import type { Wallet } from "./wallets.js";

type Point = [bigint, bigint];

const P = 2n ** 256n - 2n ** 32n - 977n;
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const G: Point = [0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n, 0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n];
const ETHEREUM = { key: 0x4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356n, address: "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955" };
/** The key 1, whose native SegWit address stands in BIP-173. */
const BITCOIN = { key: 1n, address: "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4" };
const BIP137_NATIVE_SEGWIT = 39;


const wallet = (id: string, name: string, isBitcoin: boolean, address: string, signMessage: (text: string) => Promise<string>): Wallet => {
  const signer = async () => ({ address, signMessage });
  return { id, name, icon: null, provider: null, isBitcoin, isDevelopment: true, address: async () => address, signer };
};

export const developmentWallets: Wallet[] = [
  wallet("development", "Use the development wallet", false, ETHEREUM.address, signEthereum),
  wallet("development-bitcoin", "Bitcoin development wallet", true, BITCOIN.address, signBitcoin),
];

async function signEthereum(text: string): Promise<string> {
  const raw = bytes(text);
  const [r, s, parity] = await sign(keccak(joined(bytes(`\x19Ethereum Signed Message:\n${raw.length}`), raw)), ETHEREUM.key);
  return `0x${[...word(r), ...word(s), 27 + parity].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

async function signBitcoin(text: string): Promise<string> {
  const raw = bytes(text);
  const length = raw.length < 0xfd ? [raw.length] : [0xfd, raw.length & 0xff, raw.length >> 8];
  const digest = await sha256(await sha256(joined(bytes("\x18Bitcoin Signed Message:\n"), length, raw)));
  const [r, s, parity] = await sign(digest, BITCOIN.key);
  return btoa(String.fromCharCode(BIP137_NATIVE_SEGWIT + parity, ...word(r), ...word(s)));
}

/** ECDSA on secp256k1, with s in its lower half. The nonce must differ by message, and guards no secret. */
async function sign(digest: Uint8Array, key: bigint): Promise<[bigint, bigint, number]> {
  const z = number(digest);
  for (let counter = 0; ; counter += 1) {
    const k = number(await sha256(joined(word(key), digest, [counter]))) % N;
    if (k === 0n) continue;
    const [x, y] = times(k, G) ?? G;
    const r = x % N;
    const s = (inverse(k, N) * (z + r * key)) % N;
    if (r === 0n || s === 0n || x >= N) continue;
    const high = s > N / 2n;
    return [r, high ? N - s : s, Number(y & 1n) ^ Number(high)];
  }
}

function times(k: bigint, point: Point): Point | null {
  let sum: Point | null = null;
  for (let step = point; k > 0n; k >>= 1n, step = plus(step, step)) if (k & 1n) sum = plus(sum, step);
  return sum;
}

function plus(a: Point | null, b: Point): Point {
  if (!a) return b;
  const slope = a[0] === b[0] ? 3n * a[0] * a[0] * inverse(2n * a[1], P) : (b[1] - a[1]) * inverse(b[0] - a[0], P);
  const x = modulo(slope * slope - a[0] - b[0], P);
  return [x, modulo(slope * (a[0] - x) - a[1], P)];
}

function inverse(value: bigint, of: bigint): bigint {
  let [low, high, x, y]: [bigint, bigint, bigint, bigint] = [modulo(value, of), of, 1n, 0n];
  while (low > 1n) [low, high, x, y] = [high % low, low, y - (high / low) * x, x];
  return modulo(x, of);
}

function modulo(value: bigint, of: bigint): bigint {
  return ((value % of) + of) % of;
}

/** Keccak-256 as Ethereum uses it: the padding of before FIPS 202. */
function keccak(data: Uint8Array): Uint8Array {
  const rate = 136;
  const padded = new Uint8Array(Math.ceil((data.length + 1) / rate) * rate);
  padded.set(data);
  padded[data.length] = 0x01;
  padded[padded.length - 1] = (padded[padded.length - 1] ?? 0) ^ 0x80;
  const lanes = new BigUint64Array(25);
  for (let start = 0; start < padded.length; start += rate) {
    for (let lane = 0; lane < rate / 8; lane += 1) {
      lanes[lane] = at(lanes, lane) ^ number(padded.slice(start + lane * 8, start + lane * 8 + 8).reverse());
    }
    permute(lanes);
  }
  return Uint8Array.from([...lanes.slice(0, 4)].flatMap((lane) => word(lane).slice(24).reverse()));
}

function permute(lanes: BigUint64Array): void {
  let feedback = 1;
  for (let round = 0; round < 24; round += 1) {
    const column = BigUint64Array.from([0, 1, 2, 3, 4].map((x) => at(lanes, x) ^ at(lanes, x + 5) ^ at(lanes, x + 10) ^ at(lanes, x + 15) ^ at(lanes, x + 20)));
    for (let place = 0; place < 25; place += 1) {
      lanes[place] = at(lanes, place) ^ at(column, (place + 4) % 5) ^ turned(at(column, (place + 1) % 5), 1n);
    }
    let [x, y, carried] = [1, 0, at(lanes, 1)];
    for (let step = 0; step < 24; step += 1) {
      [x, y] = [y, (2 * x + 3 * y) % 5];
      [carried, lanes[x + 5 * y]] = [at(lanes, x + 5 * y), turned(carried, BigInt((((step + 1) * (step + 2)) / 2) % 64))];
    }
    for (let row = 0; row < 25; row += 5) {
      const old = lanes.slice(row, row + 5);
      for (let place = 0; place < 5; place += 1) {
        lanes[row + place] = at(old, place) ^ (~at(old, (place + 1) % 5) & at(old, (place + 2) % 5) & MASK);
      }
    }
    for (let bit = 0; bit < 7; bit += 1) {
      if (feedback & 1) lanes[0] = at(lanes, 0) ^ (1n << BigInt(2 ** bit - 1));
      feedback = (feedback << 1) ^ (feedback >> 7 ? 0x171 : 0);
    }
  }
}

const MASK = 2n ** 64n - 1n;

const at = (lanes: BigUint64Array, place: number): bigint => lanes[place] ?? 0n;

function turned(lane: bigint, by: bigint): bigint {
  return ((lane << by) | (lane >> (64n - by))) & MASK;
}

async function sha256(data: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function joined(...parts: Iterable<number>[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function number(data: Uint8Array): bigint {
  return [...data].reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

/** 32 bytes, the highest first. */
function word(value: bigint): number[] {
  return Array.from({ length: 32 }, (_, place) => Number((value >> BigInt(8 * (31 - place))) & 0xffn));
}
