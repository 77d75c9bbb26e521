/** The frame around the pages, and which page an address means. */
import { Suspense, useEffect } from "react";
import { Route, Switch } from "wouter";
import { JobProvider } from "../hooks/useJobContext";
import type { InitialData, InitialView } from "../api/initial-data";
import type { JobPageProps } from "./jobs/JobPage";
import { JobsPage } from "./jobs/JobsPage";
import { Navigation } from "./Navigation";
import { NotFound } from "./NotFound";
import { Overlays } from "./Overlays";
import { RunNotices } from "./runs/RunNotices";
import { lazyPage } from "./lazy-page";
import { useArrival } from "./useArrival";

const JobPage = lazyPage<JobPageProps>(async () => (await import("./jobs/JobPage")).JobPage);
const PipelinesPage = lazyPage(async () => (await import("./pipelines/PipelinesPage")).PipelinesPage);
const RunsPage = lazyPage(async () => (await import("./runs/RunsPage")).RunsPage);
const SystemPage = lazyPage(async () => (await import("./system/SystemPage")).SystemPage);

/** When the page for jobs is fetched for those who begin elsewhere: when their own page has long been drawn. */
const FETCH_AHEAD_MS = 500;

/**
 * Settles when the page at an address can be drawn at once. What comes in the place of a placeholder is held back by
 * React for 300 ms after that was shown, so the first view is better drawn a moment later, and whole.
 */
export async function pageReady(path: string): Promise<void> {
  if (path.startsWith("/jobs/")) await JobPage.fetchAhead();
  else if (path === "/pipelines") await PipelinesPage.fetchAhead();
  else if (path === "/runs") await RunsPage.fetchAhead();
  else if (path === "/system") await SystemPage.fetchAhead();
}

interface AppProps {
  readonly initial: InitialData;
}

export function App({ initial }: AppProps) {
  const { user, view } = initial;
  useArrival();
  // Most readers of a list open a job next.
  useEffect(() => {
    const timer = setTimeout(() => void JobPage.fetchAhead(), FETCH_AHEAD_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <JobProvider>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <Navigation user={user} />
      <main id="main" tabIndex={-1}>
        <Suspense>
          <Switch>
            <Route path="/" component={JobsPage} />
            <Route path="/jobs" component={JobsPage} />
            <Route path="/pipelines" component={PipelinesPage} />
            <Route path="/runs" component={RunsPage} />
            <Route path="/system" component={SystemPage} />
            <Route path="/jobs/:id">
              {({ id }) => <JobPage key={id} id={id} initial={viewOfJob(view, id)} />}
            </Route>
            <Route>
              <NotFound what="page" />
            </Route>
          </Switch>
        </Suspense>
      </main>
      <Overlays />
      <RunNotices />
    </JobProvider>
  );
}

/** The page's own data, where they are of this job, or say that there is none at this address. */
function viewOfJob(view: InitialView, id: string): Extract<InitialView, { page: "job" }> | null {
  if (view.page !== "job") return null;
  const meant = view.job?.id ?? decoded(FIRST_PATH.split("/")[2] ?? "");
  return meant === id ? view : null;
}

/** An address that nobody encoded (`%ff` is no UTF-8) means what it says. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address that the server rendered the data for; later ones are this page's own navigation. */
const FIRST_PATH = globalThis.location?.pathname ?? "/";
