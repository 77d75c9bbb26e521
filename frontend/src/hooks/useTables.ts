/** The rows of some tables, live. However many components ask for the same tables, there is one connection. */
import { useEffect, useMemo, useSyncExternalStore } from "react";
import type { JsonObject } from "../stream/json";
import { field, isObject, number } from "../stream/json";
import type { ConnectionStatus } from "../stream/stream-source";
import { useClient } from "./client-context";

export interface Tables {
  /** The rows of a table by id; a row that did not change keeps its object. */
  readonly table: (name: string) => JsonObject;
  /** How many rows of a table, of all users, the server has and does not send: the oldest, past its bound. */
  readonly leftOut: (name: string) => number;
  /** False only until the first snapshot is whole; during a reconnect the old rows stay. */
  readonly ready: boolean;
  readonly connection: ConnectionStatus;
  readonly reconnect: () => void;
}

const NO_ROWS: JsonObject = {};

export function useTables(...names: readonly string[]): Tables {
  const client = useClient();
  const key = names.join(",");
  const store = useMemo(() => client.tables(key === "" ? [] : key.split(",")), [client, key]);
  useEffect(() => store.watch(), [store]);
  const { document, ready, leftOut, connection } = useSyncExternalStore(
    store.subscribe,
    store.getState,
    store.getState,
  );
  return useMemo(() => {
    const table = (name: string): JsonObject => {
      const rows = field(document, name);
      return isObject(rows) ? rows : NO_ROWS;
    };
    return {
      table,
      leftOut: (name) => number(leftOut, name) ?? 0,
      ready,
      connection,
      reconnect: () => store.reconnect(),
    };
  }, [document, ready, leftOut, connection, store]);
}
