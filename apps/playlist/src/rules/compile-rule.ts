import { compileAction, type Edit, highestCapture } from './compile-action.ts';
import { ALWAYS, type Captures, compileCondition, NEVER, type Test } from './compile-condition.ts';
import { type FieldAccess, RULE_FIELDS } from './field-access.ts';
import { CHANNEL_FIELDS, fieldsAsked, fieldsRead, PROGRAMME_FIELDS } from './field-use.ts';
import { parseActions, parseCondition, parseRule } from './parser.ts';
import { printRule } from './print-rule.ts';
import { RuleError, type RuleText } from './rule-error.ts';
import type { RuleGroup } from './syntax-tree.ts';

/**
 * A rule as it stands in the configuration: a condition and actions apart, or all in `set` or in one string:
 * `condition SET actions`, or groups `(condition SET actions) AND (condition SET actions)`.
 */
export type RuleSource = string | { readonly when?: string | undefined; readonly set: string };

export interface CompiledRule {
  /**
   * Runs the rule on a record; returns whether it changed something. Groups run in order, each on its own, and see what
   * those before them did. Allocates nothing when no condition holds.
   */
  apply(view: FieldAccess): boolean;
  /** It works on programmes; it may then also ask about the programme's channel, and sets programme fields only. */
  readonly usesProgrammeFields: boolean;
  /** It asks about the channel or its source, or sets fields of the channel. */
  readonly usesChannelFields: boolean;
  /** The fields it looks at: bit n is field n of `RULE_FIELDS`. */
  readonly reads: number;
  /** The fields it may set, likewise. */
  readonly sets: number;
  /** What is allowed and yet looks like a slip, one line each, for the user to see once. */
  readonly warnings: readonly string[];
  /** The rule in its canonical spelling, in one string. */
  readonly text: string;
}

/** Compiles a rule; `label` is what messages call it (`rule 2`). Throws `RuleError`. */
export function compileRule(source: RuleSource, options: { readonly label: string }): CompiledRule {
  const { label } = options;
  const groups = parse(source, label);
  const warnings: string[] = [];
  const runs = groups.map((group) => compileGroup(group, warnings));
  const reads = groups.reduce((fields, { tree }) => fields | readBy(tree), 0);
  const sets = groups.reduce((fields, { tree }) => fields | setBy(tree), 0);
  refuseMixture(groups, reads | sets);
  const [first] = runs;
  return {
    apply: runs.length === 1 && first !== undefined ? first : (view) => applyAll(runs, view),
    usesProgrammeFields: ((reads | sets) & PROGRAMME_FIELDS) !== 0,
    usesChannelFields: ((reads | sets) & ~PROGRAMME_FIELDS) !== 0,
    reads,
    sets,
    warnings,
    text: printRule(groups.map(({ tree }) => tree)),
  };
}

/** A group and the texts its two halves came from, for messages. */
interface SourcedGroup {
  readonly tree: RuleGroup;
  readonly condition: RuleText;
  readonly actions: RuleText;
}

function parse(source: RuleSource, label: string): SourcedGroup[] {
  if (typeof source === 'string' || source.when === undefined) {
    const text = { label, text: typeof source === 'string' ? source : source.set };
    return parseRule(text).map((tree) => ({ tree, condition: text, actions: text }));
  }
  const condition = { label: `${label}, when`, text: source.when };
  const actions = { label: `${label}, set`, text: source.set };
  return [{ tree: { when: parseCondition(condition), actions: parseActions(actions) }, condition, actions }];
}

function compileGroup({ tree, condition, actions }: SourcedGroup, warnings: string[]): Edit {
  const highest = tree.actions.map(highestCapture);
  const captures: Captures = { groups: null, available: -1 };
  const wanted = Math.max(...highest) >= 0;
  const test = tree.when === undefined ? ALWAYS : compileCondition(tree.when, condition, wanted ? captures : undefined);
  tree.actions.forEach((action, i) => {
    if (highest[i]! <= captures.available) return;
    const why =
      captures.available < 0
        ? 'no `matches` in its condition can be true'
        : 'no `matches` in its condition has so many groups';
    warnings.push(new RuleError(actions, action.at, `'$${highest[i]}' is always blank: ${why}`).message);
  });
  const edits = tree.actions.map((action) => compileAction(action, captures));
  if (test === NEVER) return NEVER;
  return wanted ? withCaptures(test, edits, captures) : withoutCaptures(test, edits);
}

function withoutCaptures(test: Test, edits: readonly Edit[]): Edit {
  const [only] = edits;
  if (edits.length === 1 && only !== undefined) return (view) => test(view) && only(view);
  return (view) => test(view) && applyAll(edits, view);
}

function withCaptures(test: Test, edits: readonly Edit[], captures: Captures): Edit {
  return (view) => {
    const changed = test(view) && applyAll(edits, view);
    // What was captured is part of a record that is about to be moved on: let go of it.
    captures.groups = null;
    return changed;
  };
}

function applyAll(edits: readonly Edit[], view: FieldAccess): boolean {
  let changed = false;
  for (let i = 0; i < edits.length; i++) if (edits[i]!(view)) changed = true;
  return changed;
}

function readBy(group: RuleGroup): number {
  const asked = group.when === undefined ? 0 : fieldsAsked(group.when);
  return group.actions.reduce((fields, action) => fields | fieldsRead(action), asked);
}

function setBy(group: RuleGroup): number {
  return group.actions.reduce((fields, action) => fields | (1 << action.field), 0);
}

/** A channel is written before its programmes are read: what works on programmes cannot set a field of the channel. */
function refuseMixture(groups: readonly SourcedGroup[], used: number): void {
  if ((used & PROGRAMME_FIELDS) === 0) return;
  for (const { tree, actions } of groups) {
    const action = tree.actions.find(({ field }) => ((1 << field) & CHANNEL_FIELDS) !== 0);
    if (action === undefined) continue;
    const name = RULE_FIELDS[action.field];
    throw new RuleError(actions, action.at, `a rule about programmes cannot set '${name}': make it a rule of its own`);
  }
}
