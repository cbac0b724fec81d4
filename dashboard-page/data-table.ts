import { element, setText } from './element.ts';

export interface Column<Row> {
  readonly title: string;
  /** Figures stand right. */
  readonly isFigure?: boolean;
  /** A text, or an element that is made once for each row and key. */
  readonly text?: (row: Row) => string;
  readonly make?: (row: Row) => HTMLElement;
  /** One of the levels, for colour. */
  readonly level?: (row: Row) => string | undefined;
  readonly isSoft?: boolean;
}

export interface DataTableOptions<Row> {
  /** What the table shows, for who does not see it. */
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  /** Rows with the same key are the same row. */
  readonly key: (row: Row) => string;
  /** What stands there while there are no rows. */
  readonly none: string;
}

/** A table whose rows are changed in place, so that what has the focus keeps it. The first column is the heading of its row. */
export class DataTable<Row> {
  readonly root = element('div');
  readonly #options: DataTableOptions<Row>;
  readonly #body = element('tbody');
  readonly #none: HTMLElement;
  readonly #scroll: HTMLElement;
  #rows = new Map<string, HTMLTableRowElement>();

  constructor(options: DataTableOptions<Row>) {
    this.#options = options;
    const { label, columns, none } = options;
    const heads = columns.map(({ title, isFigure }) => element('th', { scope: 'col', class: isFigure && 'n' }, title));
    const table = element('table', {}, element('thead', {}, element('tr', {}, ...heads)), this.#body);
    this.#scroll = element(
      'div',
      { class: 'rows', role: 'region', tabindex: 0, 'aria-label': label, hidden: true },
      table,
    );
    this.#none = element('p', { class: 'none' }, none);
    this.root.append(this.#none, this.#scroll);
  }

  show(rows: readonly Row[]): void {
    this.#none.hidden = rows.length > 0;
    this.#scroll.hidden = rows.length === 0;
    const known = this.#rows;
    this.#rows = new Map();
    let place = this.#body.firstElementChild;
    for (const row of rows) {
      const key = this.#options.key(row);
      if (this.#rows.has(key)) continue;
      const line = known.get(key) ?? this.#make(row);
      known.delete(key);
      this.#rows.set(key, line);
      this.#fill(line, row);
      if (line === place) place = line.nextElementSibling;
      else this.#body.insertBefore(line, place);
    }
    for (const gone of known.values()) gone.remove();
  }

  #make(row: Row): HTMLTableRowElement {
    const line = element('tr');
    for (const [i, { isFigure, isSoft, make }] of this.#options.columns.entries()) {
      const cell = element(i === 0 ? 'th' : 'td', {
        scope: i === 0 && 'row',
        class: isFigure ? 'n' : isSoft && 'soft',
      });
      if (make !== undefined) cell.append(make(row));
      line.append(cell);
    }
    return line;
  }

  #fill(line: HTMLTableRowElement, row: Row): void {
    for (const [i, { text, level }] of this.#options.columns.entries()) {
      const cell = line.cells[i]!;
      if (text !== undefined) setText(cell, text(row));
      const shown = level?.(row);
      if (shown === undefined) delete cell.dataset.level;
      else cell.dataset.level = shown;
    }
  }
}
