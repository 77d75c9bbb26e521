import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  // Vite's development server moves packages elsewhere, away from the worker's file beside them.
  optimizeDeps: { exclude: ["fantail-dashboard"] },
});
