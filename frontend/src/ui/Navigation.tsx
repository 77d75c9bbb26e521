/** The bar above all pages: where one is, where else one can go. */
import { Link, useLocation } from "wouter";
import type { User } from "../api/initial-data";
import { Mark } from "./Mark";
import { ThemeSwitch } from "./ThemeSwitch";
import { visible } from "./shared/VisibleText";

const PAGES = [
  { href: "/", name: "Jobs", holds: /^\/(?:jobs(?:\/.*)?)?$/, forAdmins: false },
  { href: "/pipelines", name: "Pipelines", holds: /^\/pipelines$/, forAdmins: false },
  { href: "/runs", name: "Runs", holds: /^\/runs$/, forAdmins: false },
  { href: "/system", name: "System", holds: /^\/system$/, forAdmins: true },
] as const;

export function Navigation({ user }: { readonly user: User }) {
  const [path] = useLocation();
  const pages = PAGES.filter((page) => user.admin || !page.forAdmins || page.holds.test(path));
  return (
    <header className="top">
      <Link href="/" className="brand" aria-label="Fantail">
        <Mark />
        <span className="word">Fantail</span>
      </Link>
      <nav aria-label="Pages">
        {pages.map(({ href, name, holds }) => (
          <Link key={href} href={href} data-name={name} aria-current={current(path, href, holds)}>
            {name}
          </Link>
        ))}
      </nav>
      <div className="aside">
        {user.name !== null && (
          <span className="user muted" title={user.name}>
            {visible(user.name)}
          </span>
        )}
        <ThemeSwitch />
      </div>
    </header>
  );
}

/** A job's page is below that of all jobs: that one is where one is, without being the page itself. */
function current(path: string, href: string, holds: RegExp): "page" | "true" | undefined {
  if (path === href) return "page";
  return holds.test(path) ? "true" : undefined;
}
