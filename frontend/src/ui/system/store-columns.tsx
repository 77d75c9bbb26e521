/** What the list of stores shows of each. */
import { Link } from "wouter";
import type { StoreInfo } from "../../api/system";
import { StatusBadge } from "../shared/StatusBadge";
import { formatBytes, formatCount } from "../format";
import { type Column, FirstCell } from "../table/DataTable";

export const storeKey = (store: StoreInfo): string => `${store.kind} ${store.id}`;

export const STORE_COLUMNS: readonly Column<StoreInfo>[] = [
  { key: "store", label: "Store", cell: (store) => <Name store={store} /> },
  { key: "status", label: "Status", cell: (store) => <StatusBadge status={store.status} /> },
  {
    key: "records",
    label: "Records",
    className: "wide number",
    cell: ({ head, tail }) => formatCount(Math.max(0, tail - head)),
  },
  {
    key: "bytes",
    label: "Bytes",
    className: "number",
    sortable: true,
    cell: (store) => formatBytes(store.bytes),
  },
  {
    key: "watchers",
    label: "Readers",
    className: "wide number",
    sortable: true,
    cell: (store) => formatCount(store.watchers),
  },
  {
    key: "lag",
    label: "Behind",
    className: "wide number",
    sortable: true,
    cell: ({ watchers, lag }) => (watchers > 0 ? formatCount(lag) : "–"),
  },
];

function Name({ store }: { readonly store: StoreInfo }) {
  const { kind, id } = store;
  return (
    <FirstCell under={kind}>
      {kind === "job" ? <Link href={`/jobs/${encodeURIComponent(id)}`}>{id}</Link> : id}
    </FirstCell>
  );
}
