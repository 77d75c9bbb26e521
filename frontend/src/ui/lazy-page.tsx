/**
 * Pages that come when they are first asked for, so that the first page need not wait for their script.
 *
 * One that has come, or was fetched ahead, is there at once: React's own `lazy` leaves the page empty for a moment even
 * then, and the focus with nowhere to go.
 */
import { type ComponentType, lazy, useState } from "react";
import { Trouble } from "./shared/PageHead";

export type LazyPage<Props extends object> = ComponentType<Props> & {
  /** Fetches it, for a reader who is likely to ask for it; settles when it has come, or cannot. */
  readonly fetchAhead: () => Promise<void>;
};

export function lazyPage<Props extends object = object>(
  load: () => Promise<ComponentType<Props>>,
): LazyPage<Props> {
  let loaded: ComponentType<Props> | null = null;
  let loading: Promise<ComponentType<Props>> | null = null;
  const fetchOnce = (): Promise<ComponentType<Props>> => {
    loading ??= load().then((page) => {
      loaded = page;
      return page;
    });
    return loading;
  };
  const Later = lazy(async () => {
    try {
      return { default: await fetchOnce() };
    } catch {
      // Another version of the server has other files.
      return { default: NotLoaded as ComponentType<Props> };
    }
  }) as unknown as ComponentType<Props>;
  function Page(props: Props) {
    // The same for as long as the page is there: another component would begin anew.
    const [Now] = useState(() => loaded ?? Later);
    return <Now {...props} />;
  }
  const fetchAhead = async (): Promise<void> => {
    try {
      await fetchOnce();
    } catch {
      loading = null;
    }
  };
  return Object.assign(Page, { fetchAhead });
}

function NotLoaded() {
  return (
    <Trouble title="This page could not be loaded" onRetry={() => globalThis.location.reload()}>
      The server may have been updated, or is away.
    </Trouble>
  );
}
