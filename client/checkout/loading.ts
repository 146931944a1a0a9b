/** The files that are loaded when they are needed. Their names contain a hash, so the document says where they are. */

import type { Wallet } from "./wallets.js";

export type Later = typeof import("./later.js");

const at = (name: string): string => document.documentElement.dataset[name] ?? "";

let failures = 0;

/**
 * Load proof, link and history. They share no objects with the rest but the page that they are given. Some browsers remember a module that
 * failed, so each further try has an address of its own.
 */
export async function loadLater(): Promise<Later> {
  try {
    return await import(at("later") + (failures ? `?${failures}` : ""));
  } catch (error) {
    failures += 1;
    throw error;
  }
}

/** Load the wallets with publicly known keys, in development. */
export const loadDevelopment = (): Promise<{ developmentWallets: Wallet[] }> => import(at("development"));
