/**
 * Doubly linked lists of slots in one typed array, each slot in at most one of them: 8 bytes a slot. Each list is a ring through a node of its own, so that no end needs a case
 * of its own. A slot must be in a list to be moved or removed, and in none to be added.
 */
export class SlotLists {
  /** At `2 * node` the node before, behind it the node after. First the lists' own nodes, then those of the slots. */
  #links: Int32Array;
  readonly #lists: number;

  constructor(lists: number) {
    this.#lists = lists;
    this.#links = new Int32Array(2 * lists);
    for (let list = 0; list < lists; list++) this.#links[2 * list] = this.#links[2 * list + 1] = list;
  }

  /** Makes room for slots below `slots`, and for no others. */
  resize(slots: number): void {
    const length = 2 * (this.#lists + slots);
    const links = new Int32Array(length);
    links.set(this.#links.subarray(0, length));
    this.#links = links;
  }

  /** The oldest of a list, -1 when it is empty. */
  first(list: number): number {
    const node = this.#links[2 * list + 1]!;
    return node < this.#lists ? -1 : node - this.#lists;
  }

  /** The one that was added after `slot`, -1 for the last. */
  after(slot: number): number {
    const node = this.#links[2 * (slot + this.#lists) + 1]!;
    return node < this.#lists ? -1 : node - this.#lists;
  }

  add(list: number, slot: number): void {
    const links = this.#links;
    const node = slot + this.#lists;
    const last = links[2 * list]!;
    links[2 * last + 1] = node;
    links[2 * node] = last;
    links[2 * node + 1] = list;
    links[2 * list] = node;
  }

  remove(slot: number): void {
    const links = this.#links;
    const at = 2 * (slot + this.#lists);
    const before = links[at]!;
    const after = links[at + 1]!;
    links[2 * before + 1] = after;
    links[2 * after] = before;
  }

  /** To the end of a list, from wherever it is. */
  moveToEnd(list: number, slot: number): void {
    const links = this.#links;
    const node = slot + this.#lists;
    const last = links[2 * list]!;
    if (last === node) return;
    const at = 2 * node;
    const before = links[at]!;
    const after = links[at + 1]!;
    links[2 * before + 1] = after;
    links[2 * after] = before;
    const end = links[2 * list]!;
    links[2 * end + 1] = node;
    links[at] = end;
    links[at + 1] = list;
    links[2 * list] = node;
  }

  /** The place of one slot is another's, which is in no list. */
  rename(from: number, to: number): void {
    const links = this.#links;
    const node = to + this.#lists;
    const before = links[2 * (from + this.#lists)]!;
    const after = links[2 * (from + this.#lists) + 1]!;
    links[2 * node] = before;
    links[2 * node + 1] = after;
    links[2 * before + 1] = node;
    links[2 * after] = node;
  }

  /** All of one list to the end of another, in their order. */
  append(from: number, to: number): void {
    const links = this.#links;
    const first = links[2 * from + 1]!;
    if (first === from) return;
    const last = links[2 * from]!;
    const end = links[2 * to]!;
    links[2 * end + 1] = first;
    links[2 * first] = end;
    links[2 * last + 1] = to;
    links[2 * to] = last;
    links[2 * from] = links[2 * from + 1] = from;
  }
}
