import type { Captures } from './compile-condition.ts';
import type { FieldAccess } from './field-access.ts';
import type { Action } from './syntax-tree.ts';

/** Does an action; returns whether the field is different afterwards. */
export type Edit = (view: FieldAccess) => boolean;

type Value = (view: FieldAccess) => string;

/**
 * Compiles an action. `=` sets; `?=` sets a field that is empty or holds only white space; `+=` appends with nothing
 * in between; `-=` takes out every occurrence of exactly this text (case counts), in one pass. `view.set` is called
 * only with a value that differs from the present one.
 */
export function compileAction(action: Action, captures: Captures): Edit {
  const { field } = action;
  const value = compileValue(action, captures);
  switch (action.assignment) {
    case '=':
      return (view) => change(view, field, value(view));
    case '?=':
      return (view) => isBlank(view.get(field)) && change(view, field, value(view));
    case '+=':
      return (view) => {
        const added = value(view);
        return added !== '' && change(view, field, view.get(field) + added);
      };
    case '-=':
      return (view) => {
        const unwanted = value(view);
        const before = view.get(field);
        return unwanted !== '' && before.includes(unwanted) && change(view, field, before.replaceAll(unwanted, ''));
      };
  }
}

/** Whether a value has a `$0` to `$9` in it, and the highest of them; -1 when there is none. */
export function highestCapture(action: Action): number {
  if (action.value.kind === 'field') return -1;
  return Math.max(-1, ...partsOf(action.value.text).filter((part) => typeof part === 'number'));
}

function compileValue({ value }: Action, captures: Captures): Value {
  if (value.kind === 'field') {
    const { field } = value;
    return (view) => view.get(field);
  }
  const parts = partsOf(value.text);
  if (parts.every((part) => typeof part === 'string')) {
    const text = parts.join('');
    return () => text;
  }
  return () => {
    let text = '';
    for (const part of parts) text += typeof part === 'string' ? part : (captures.groups?.[part] ?? '');
    return text;
  };
}

/**
 * The pieces of a template: texts, and the numbers of captures. `$$` is a dollar; a dollar before anything else stays.
 */
function partsOf(template: string): (string | number)[] {
  const parts: (string | number)[] = [];
  let from = 0;
  for (let at = template.indexOf('$'); at >= 0; at = template.indexOf('$', at)) {
    const next = template[at + 1];
    const digit = next === undefined ? -1 : '0123456789'.indexOf(next);
    if (digit < 0 && next !== '$') {
      at++;
      continue;
    }
    parts.push(template.slice(from, at), digit < 0 ? '$' : digit);
    at += 2;
    from = at;
  }
  parts.push(template.slice(from));
  return parts;
}

function change(view: FieldAccess, field: number, value: string): boolean {
  if (value === view.get(field)) return false;
  view.set(field, value);
  return true;
}

function isBlank(text: string): boolean {
  return text === '' || text.trim() === '';
}
