/** Nothing at this address, or nothing for this reader: the server does not say which. */
import { Link } from "wouter";
import { useTitle } from "./shared/useTitle";

export function NotFound({ what }: { readonly what: "page" | "job" }) {
  const title = what === "job" ? "There is no such job" : "There is no such page";
  useTitle(title);
  return (
    <section className="empty">
      <h1 tabIndex={-1}>{title}</h1>
      <p>
        {what === "job" && "It may have expired, or it belongs to someone else. "}
        <Link href="/">All jobs</Link>
      </p>
    </section>
  );
}
