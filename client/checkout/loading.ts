/** The files that are loaded when they are needed. Their names contain a hash, so the document says where they are. */

import type { Wallet } from "./wallets.js";

export type Later = typeof import("./later.js");

const at = (name: string): string => document.documentElement.dataset[name] ?? "";

/** Load proof, link and history. They share no objects with the rest but the page that they are given. */
export const loadLater = (): Promise<Later> => import(at("later"));

/** Load the wallets with publicly known keys, in development. */
export const loadDevelopment = (): Promise<{ developmentWallets: Wallet[] }> => import(at("development"));
