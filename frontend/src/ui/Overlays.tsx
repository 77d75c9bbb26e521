/** What lies over every page: the sheet of keys, and the palette. One is open at a time. */
import { Suspense, lazy, useCallback, useState } from "react";
import { HelpSheet } from "./HelpSheet";
import { useActions } from "./keys";
import "./styles/overlays.css";

const Palette = lazy(() => import("./palette/Palette"));

export function Overlays() {
  const [open, setOpen] = useState<"help" | "palette" | null>(null);
  const close = useCallback(() => setOpen(null), []);
  useActions({ help: () => setOpen("help"), palette: () => setOpen("palette") });
  if (open === "help") return <HelpSheet onClose={close} />;
  if (open === null) return null;
  return (
    <Suspense>
      <Palette onClose={close} />
    </Suspense>
  );
}
