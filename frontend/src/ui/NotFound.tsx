/** Nothing at this address, or nothing for this reader: the server does not say which. */
import { Link } from "wouter";

export function NotFound({ what }: { readonly what: "page" | "job" }) {
  return (
    <section className="empty">
      <h1>{what === "job" ? "There is no such job" : "There is no such page"}</h1>
      <p>
        {what === "job" && "It may have expired, or it belongs to someone else. "}
        <Link href="/">All jobs</Link>
      </p>
    </section>
  );
}
