import { defineConfig } from "vite";

// The built files are committed and served with a strict Content-Security-Policy:
// nothing inline, every asset a file with its hash in the name.
export default defineConfig({
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
    chunkSizeWarningLimit: 700,
  },
  server: {
    // npm run dev beside `runner serve`
    proxy: Object.fromEntries(["/api", "/models", "/config", "/openapi.json"].map((path) => [path, { target: "http://127.0.0.1:8000", ws: true }])),
  },
});
