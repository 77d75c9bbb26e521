/** The frame around the pages, and which page an address means. */
import { Link, Route, Switch } from "wouter";
import { JobProvider } from "../hooks/useJobContext";
import type { InitialData, InitialView } from "../stream/initial-data";
import { JobPage } from "./JobPage";
import { JobsPage } from "./JobsPage";
import { Mark } from "./Mark";
import { NotFound } from "./NotFound";
import { Overlays } from "./Overlays";
import { PipelinesPage } from "./PipelinesPage";
import { RunNotices } from "./RunNotices";
import { RunsPage } from "./RunsPage";

interface AppProps {
  readonly initial: InitialData;
}

export function App({ initial }: AppProps) {
  const { user, view } = initial;
  return (
    <JobProvider>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <header className="top">
        <Link href="/" className="brand">
          <Mark />
          Fantail
        </Link>
        <nav aria-label="Pages">
          <Link href="/">Jobs</Link>
          <Link href="/pipelines">Pipelines</Link>
          <Link href="/runs">Runs</Link>
        </nav>
        {user.name !== null && <span className="user muted">{user.name}</span>}
      </header>
      <main id="main">
        <Switch>
          <Route path="/" component={JobsPage} />
          <Route path="/jobs" component={JobsPage} />
          <Route path="/pipelines" component={PipelinesPage} />
          <Route path="/runs" component={RunsPage} />
          <Route path="/jobs/:id">
            {({ id }) => <JobPage key={id} id={id} initial={viewOfJob(view, id)} />}
          </Route>
          <Route>
            <NotFound what="page" />
          </Route>
        </Switch>
      </main>
      <Overlays />
      <RunNotices />
    </JobProvider>
  );
}

/** The page's own data, where they are of this job, or say that there is none at this address. */
function viewOfJob(view: InitialView, id: string): Extract<InitialView, { page: "job" }> | null {
  if (view.page !== "job") return null;
  const meant = view.job?.id ?? decodeURIComponent(FIRST_PATH.split("/")[2] ?? "");
  return meant === id ? view : null;
}

/** The address that the server rendered the data for; later ones are this page's own navigation. */
const FIRST_PATH = globalThis.location?.pathname ?? "/";
