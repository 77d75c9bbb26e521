/**
 * The one frame of all tables: a head that stays, columns that may sort, rows of one height, as many in the page as
 * can be seen. A row is drawn again only when its object is another one; columns are expected to keep theirs.
 *
 * It is a real table, so that a screen reader says the column with the cell; `aria-rowcount` tells it of the rows
 * that are not in the page.
 */
import { type ReactNode, memo, useEffect, useRef } from "react";
import { moveFocus } from "./row-keys";
import { useRowWindow } from "./useRowWindow";

export interface Column<Row> {
  readonly key: string;
  readonly label: ReactNode;
  /** `wide` columns leave at a phone's width, `number` ones stand right; widths are in table.css, as `c-<key>`. */
  readonly className?: string;
  readonly sortable?: boolean;
  readonly cell: (row: Row) => ReactNode;
}

export interface Sort {
  readonly key: string;
  readonly descending: boolean;
}

interface DataTableProps<Row> {
  /** What the table holds, for those who do not see it. */
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly rowKey: (row: Row) => string;
  readonly sort?: Sort;
  readonly onSort?: (key: string) => void;
}

export function DataTable<Row extends object>(props: DataTableProps<Row>) {
  const { caption, columns, rows, rowKey, sort, onSort } = props;
  const body = useRef<HTMLTableSectionElement>(null);
  const { first, end, rowHeight } = useRowWindow(body, rows.length);
  useEffect(() => {
    const element = body.current;
    element?.addEventListener("keydown", moveFocus);
    return () => element?.removeEventListener("keydown", moveFocus);
  }, []);
  return (
    <table className="table" aria-rowcount={rows.length + 1}>
      <caption className="unseen">{caption}</caption>
      <thead>
        <tr aria-rowindex={1}>
          {columns.map((column) => (
            <HeadCell key={column.key} column={column} sort={sort} onSort={onSort} />
          ))}
        </tr>
      </thead>
      <tbody className="t-rows" ref={body}>
        <Space columns={columns.length} height={first * rowHeight} />
        {rows.slice(first, end).map((row, at) => (
          <BodyRow key={rowKey(row)} row={row} columns={columns} index={first + at + 2} />
        ))}
        <Space columns={columns.length} height={(rows.length - end) * rowHeight} />
      </tbody>
    </table>
  );
}

/** The room of rows that are not in the page. */
function Space({ columns, height }: { readonly columns: number; readonly height: number }) {
  if (height <= 0) return null;
  return (
    <tr className="t-space" aria-hidden="true">
      <td colSpan={columns} style={{ height }}>
        {"\u00a0"}
      </td>
    </tr>
  );
}

interface HeadCellProps<Row> {
  readonly column: Column<Row>;
  readonly sort: Sort | undefined;
  readonly onSort: ((key: string) => void) | undefined;
}

function HeadCell<Row>({ column, sort, onSort }: HeadCellProps<Row>) {
  const { key, label, className, sortable } = column;
  const sorted = sort?.key === key;
  const direction = sort?.descending ? "descending" : "ascending";
  return (
    <th
      scope="col"
      className={`c-${key} ${className ?? ""}`}
      aria-sort={sortable ? (sorted ? direction : "none") : undefined}
    >
      {sortable && onSort ? (
        <button type="button" className="sort" onClick={() => onSort(key)}>
          {label}
          <span className="arrow" aria-hidden="true">
            {sorted ? (sort.descending ? "↓" : "↑") : ""}
          </span>
        </button>
      ) : (
        label
      )}
    </th>
  );
}

interface BodyRowProps<Row> {
  readonly row: Row;
  readonly columns: readonly Column<Row>[];
  readonly index: number;
}

// `memo` forgets that the component is generic.
const BodyRow = memo(function BodyRow<Row>({ row, columns, index }: BodyRowProps<Row>) {
  return (
    <tr className="t-row" aria-rowindex={index}>
      {columns.map(({ key, className, cell }) => (
        <td key={key} className={`c-${key} ${className ?? ""}`}>
          {cell(row)}
        </td>
      ))}
    </tr>
  );
}) as <Row>(props: BodyRowProps<Row>) => ReactNode;

interface FirstCellProps {
  readonly children: ReactNode;
  /** A second, quieter line. */
  readonly under?: ReactNode;
}

/** A row's first cell: what it is about, and below it what else tells it apart. */
export function FirstCell({ children, under }: FirstCellProps) {
  return (
    <>
      <span className="first">{children}</span>
      <span className="under muted">{under}</span>
    </>
  );
}
