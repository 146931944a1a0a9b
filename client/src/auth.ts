/** Wallet login: a message that the service writes, the wallet's signature, and a token that lives in memory alone. */

import type { LoginResponse } from "./schema.js";
import type { RequestOptions, Transport } from "./transport.js";

/** A wallet's node, as EIP-1193 describes it; structural, so the provider of any wallet library fits. */
export interface Eip1193 {
  // Libraries type what they take as a union of all methods that they know, to which no other description can be assigned.
  request(call: any): Promise<unknown>;
}

/** Who signs: an address, 0x... or bitcoin, and its signature of a text in the wallet's own form. */
export interface Signer {
  address: string;
  signMessage(message: string): Promise<string>;
}

/** The login of one wallet. */
export interface Auth {
  /** The 0x address that owns the purchases: for a bitcoin wallet its Mezo account. Null if no one is logged in. */
  readonly account: string | null;
  /** Ask for a message, have it signed (this moves no money), and keep the token. */
  login(signer: Signer, options?: RequestOptions): Promise<LoginResponse>;
  /** End every token of this wallet. The own one is forgotten, whatever the service answers. */
  logout(options?: RequestOptions): Promise<void>;
}

/** Return the login of a transport. Whether a token is still valid is the service's decision, because this machine's clock may be wrong. */
export function makeAuth(transport: Transport): Auth {
  let account: string | null = null;
  return {
    get account() {
      return transport.token && account;
    },
    async login(signer, options) {
      const asked = { ...options, body: { address: signer.address } };
      const { message } = await transport.call<"nonce">("POST", "/api/v1/auth/nonce", asked);
      const body = { message, signature: await signer.signMessage(message) };
      const answer = await transport.call<"login">("POST", "/api/v1/auth/login", { ...options, body });
      transport.token = answer.token;
      account = answer.address;
      return answer;
    },
    async logout(options) {
      if (!transport.token) return;
      try {
        await transport.call<"logout">("POST", "/api/v1/auth/logout", { ...options, asWallet: true });
      } finally {
        transport.token = account = null;
      }
    },
  };
}

/** Return the signer of an EVM wallet's provider. The wallet asks its owner which account to share. Throws what the wallet throws. */
export async function signerOf(provider: Eip1193): Promise<Signer> {
  const [address] = (await provider.request({ method: "eth_requestAccounts" })) as string[];
  if (!address) throw new Error("The wallet shares no account.");
  return {
    address,
    async signMessage(message) {
      const bytes = [...new TextEncoder().encode(message)].map((byte) => byte.toString(16).padStart(2, "0"));
      return (await provider.request({ method: "personal_sign", params: [`0x${bytes.join("")}`, address] })) as string;
    },
  };
}
