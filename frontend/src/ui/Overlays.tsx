/** What lies over every page: the sheet of keys, and the palette. One is open at a time. */
import { Suspense, useCallback, useEffect, useState } from "react";
import { HelpSheet } from "./HelpSheet";
import { useActions } from "./keys";
import { lazyPage } from "./lazy-page";

/** Another version of the server has another file; then the key does nothing, and what is on the page stays. */
const Palette = lazyPage(async () => {
  try {
    return (await import("./palette/Palette")).default;
  } catch {
    return () => <></>;
  }
});

/** When the page has long been there, the palette is fetched too: what is typed right behind its key is not lost. */
const PREPARE_MS = 3_000;

export function Overlays() {
  const [open, setOpen] = useState<"help" | "palette" | null>(null);
  const close = useCallback(() => setOpen(null), []);
  useEffect(() => {
    const timer = setTimeout(() => void Palette.fetchAhead(), PREPARE_MS);
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
