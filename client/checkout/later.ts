/** What a page needs once a purchase has begun, or when its buyer looks at earlier ones: a file of its own, so that the page shows sooner. */

export { History } from "./history.js";
export { showIdentity } from "./link.js";
export { showProof } from "./proof.js";
