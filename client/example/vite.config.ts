import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = `http://127.0.0.1:${process.env["SERVER_PORT"] ?? 5174}`;
const port = Number(process.env["PORT"] ?? 5173);
// The dApp's own server, on the dApp's own origin.
const proxy = { "/api": server, "/webhooks": server };
const host = "127.0.0.1";

export default defineConfig({
  plugins: [react()],
  // Only because the client is linked from its own folder here, which holds a React for its tests. An installed package needs no such line.
  resolve: { dedupe: ["react", "react-dom"] },
  server: { host, port, strictPort: true, proxy },
  preview: { host, port, strictPort: true, proxy },
  build: { rolldownOptions: { input: ["index.html", "hooks.html", "ten-lines.html"] }, chunkSizeWarningLimit: 700 },
});
