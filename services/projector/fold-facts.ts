import { parseFact, type Fact } from '#schemas/events/facts.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { isStorable } from '#shared/postgres/storable.ts';
import { keyMustFit, rowMustFit } from './must-fit.ts';
import type { Key, Row, View } from './view.ts';
import { codebaseReaders } from './views/codebase-readers.ts';
import { codebases } from './views/codebases.ts';
import { gitlabPeople } from './views/gitlab-people.ts';
import { projectCodebases, projectPeople, projects } from './views/projects.ts';
import { refs, versions } from './views/refs.ts';
import { sources } from './views/sources.ts';
import { syncs } from './views/syncs.ts';

export const VIEWS: readonly View[] = [sources, codebases, codebaseReaders, projects, projectCodebases, projectPeople, gitlabPeople, refs, versions, syncs] as unknown as readonly View[];

/** A row's key, with the text by which it is found in a map. */
export interface NamedKey { readonly key: Key; readonly name: string }

/** A row that a fact touches. */
export interface Touch extends NamedKey { readonly view: View }

/** A fact that was read, and all that it touches. */
export interface ReadFact { readonly fact: Fact; readonly touches: readonly Touch[] }

/** Rows of a view, by name. */
export type Rows = Map<string, Row>;

/** What can be read, and where it leads; of what can not, why. Nothing is passed over in silence. */
export function readPage(recorded: readonly Recorded[]): { facts: ReadFact[]; unfolded: Row[] } {
  const facts: ReadFact[] = [];
  const unfolded: Row[] = [];
  for (const one of recorded) {
    try {
      const fact = parseFact(one);
      facts.push({ fact, touches: touchesOf(fact) });
    } catch (error) {
      unfolded.push(unfoldedRow(one, error));
    }
  }
  return { facts, unfolded };
}

function touchesOf(fact: Fact): Touch[] {
  const touches: Touch[] = [];
  for (const view of VIEWS) {
    for (const key of view.keysOf(fact)) {
      keyMustFit(view.table, key);
      touches.push({ view, key, name: nameOf(key) });
    }
  }
  return touches;
}

/** The rows that these facts touch, by view. */
export function touchedRows(facts: readonly ReadFact[]): Map<View, NamedKey[]> {
  const touched = new Map<View, NamedKey[]>();
  for (const { touches } of facts) {
    for (const touch of touches) {
      const keys = touched.get(touch.view);
      if (keys === undefined) touched.set(touch.view, [touch]);
      else keys.push(touch);
    }
  }
  return touched;
}

/** Where the fact's own position is in the key, no other fact comes to that row: nothing need be read. */
export const isAppended = (view: View): boolean => view.key.includes('position');

/**
 * The one fold: the live model and a rebuilt one differ only in where rows come from and how they are written. In order, and each
 * fact whole or not at all. `rows` has what stands where these facts lead, and afterwards what became of it.
 */
export function foldFacts(facts: readonly ReadFact[], rows: ReadonlyMap<View, Rows>): { changed: Map<View, Rows>; unfolded: Row[] } {
  const changed = new Map<View, Rows>(Array.from(rows.keys(), (view) => [view, new Map<string, Row>()]));
  const unfolded: Row[] = [];
  for (const { fact, touches } of facts) {
    try {
      const folded = touches.map((touch) => rowAfter(fact, touch, rows.get(touch.view)?.get(touch.name)));
      for (const [nth, after] of folded.entries()) {
        if (after === undefined) continue;
        const { view, name } = touches[nth]!;
        rows.get(view)?.set(name, after);
        changed.get(view)?.set(name, after);
      }
    } catch (error) {
      unfolded.push(unfoldedRow(fact, error));
    }
  }
  return { changed, unfolded };
}

/** Undefined: it stays as it is. */
function rowAfter(fact: Fact, { view, key }: Touch, before: Row | undefined): Row | undefined {
  const after = view.fold(before, fact, key);
  if (after === undefined || after === before) return undefined;
  rowMustFit(view, before, after);
  return after;
}

export const nameOf = (key: Key): string => (key.length === 1 ? key[0]! : JSON.stringify(key));

/** Where a fact stands. */
export const indexRow = ({ position, key, stream, revision, type, id, correlationId, time }: Recorded): Row =>
  ({ position, key: shown(key), stream: shown(stream), revision, type: shown(type), fact_id: shown(id), correlation_id: shown(correlationId), time: shown(time) });

export const unfoldedRow = ({ position, id, key, type }: Recorded | Fact, error: unknown): Row =>
  ({ position, fact_id: shown(id), key: shown(key), type: shown(type), error: shown(String(error)) });

/** More than any schema allows a key, a type or an id, and short enough for an index in any script. */
const SHOWN_CHARACTERS_MAX = 800;

/** What is said of a fact must always fit, whatever stands in it: the log keeps any JSON. */
function shown(value: unknown): string {
  const text = (typeof value === 'string' ? value : String(JSON.stringify(value))).slice(0, SHOWN_CHARACTERS_MAX);
  return isStorable(text) ? text : text.replace(/\0|\p{Surrogate}/gu, '\ufffd');
}
