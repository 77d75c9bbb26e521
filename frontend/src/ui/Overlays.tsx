/** What lies over every page: the sheet of keys, and the palette. One is open at a time. */
import { Suspense, lazy, useCallback, useEffect, useState } from "react";
import { HelpSheet } from "./HelpSheet";
import { useActions } from "./keys";
import "./styles/overlays.css";

/** Another version of the server has another file; then the key does nothing, and what is on the page stays. */
const loadPalette = () => import("./palette/Palette").catch(() => ({ default: () => <></> }));

const Palette = lazy(loadPalette);

/** When the page has long been there, the palette is fetched too: what is typed right behind its key is not lost. */
const PREPARE_MS = 3_000;

export function Overlays() {
  const [open, setOpen] = useState<"help" | "palette" | null>(null);
  const close = useCallback(() => setOpen(null), []);
  useEffect(() => {
    const timer = setTimeout(() => void loadPalette(), PREPARE_MS);
    return () => clearTimeout(timer);
  }, []);
  useActions({ help: () => setOpen("help"), palette: () => setOpen("palette") });
  if (open === "help") return <HelpSheet onClose={close} />;
  if (open === null) return null;
  return (
    <Suspense>
      <Palette onClose={close} />
    </Suspense>
  );
}
