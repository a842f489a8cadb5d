import type { Request, Response } from 'express';
import { codebaseId, objectId, type CodebaseId, type ObjectId, type Position, type RefName } from '#schemas/brand.ts';
import { positionOutside } from '#schemas/positions.ts';
import { mayRead, onlyReadableBy } from '#shared/access/reading.ts';
import type { CodebaseView, VersionView } from '#shared/read-store/read-store.ts';
import { mustBeKnown, type Principal } from '#shared/runtime/access.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { textOf } from '#shared/runtime/query-text.ts';
import type { Deps } from './codebase-routes.ts';
import { createBlobPlaces, occurrencesOf, type BlobPlaces, type Occurrence, type RefHistory } from './occurrences.ts';
import { shown } from './path-bytes.ts';
import { otherCodebaseOf } from './resolve-version.ts';

/** Of one codebase, all refs together, newest first: some 8 MB. Older ones are told as not looked at. */
const VERSIONS_MAX = 20_000;
const VERSIONS_A_PAGE = 1_000;
const CODEBASES_A_PAGE = 100;
/** Looked through for one answer: each costs a question or two, also when nothing is found. */
const CODEBASES_MAX = 500;
/** In one answer, some 400 kB of JSON; a ref whose own are more is told whole. */
const OCCURRENCES_MAX = 1_000;

interface Place { readonly codebase: CodebaseId; readonly ref: RefName | null }
interface Unfinished { readonly codebase: CodebaseId; readonly ref: RefName; readonly position: string; readonly reason: 'versions' | 'trees' | 'places' }

interface Answer { readonly occurrences: object[]; readonly unfinished: Unfinished[]; codebases: number }

/**
 * `GET /v1/objects/{blob id}/occurrences?codebase=`: where these bytes are and were, codebase by codebase in the order of their ids, and
 * ref by ref. No table holds paths: the trees of all versions are looked through, each different tree once an answer, so it costs by
 * what the histories differ, and a first look into a codebase by its size. An answer reads TREES_MAX trees: `next` goes on at the
 * ref that did not fit; a single ref that needs more is told as `unfinished`, with the position up to which it was looked through.
 */
export async function sendOccurrences(deps: Deps, { request, response, id, signal }: { request: Request; response: Response; id: string; signal: AbortSignal }): Promise<void> {
  const blob = objectId.safeParse(id);
  if (!blob.success) throw new Problem(400, 'object-malformed', 'An object id has 40 or 64 hex digits, in small letters. …/tree tells the ids of files.');
  const principal = mustBeKnown(response);
  const only = textOf(request, 'codebase');
  const codebase = only === undefined ? undefined : await otherCodebaseOf(deps.store, principal, only);
  const begin = cursorOf(textOf(request, 'after'));
  const answer: Answer = { occurrences: [], unfinished: [], codebases: 0 };
  const places = createBlobPlaces(deps.reader, { blob: blob.data, signal });
  // What is nowhere is answered like what is nowhere that the caller may read: with nothing.
  const next = await isStored(deps, blob.data) ? await lookThrough(deps, { answer, places, begin, codebase, principal }) : undefined;
  const url = next === undefined ? null : `/v1/objects/${blob.data}/occurrences?${codebase === undefined ? '' : `codebase=${codebase.id}&`}after=${cursorText(next)}`;
  if (url !== null) response.setHeader('Link', `<${url}>; rel="next"`);
  const { occurrences, unfinished } = answer;
  response.json({ object: blob.data, occurrences, unfinished, treesRead: places.treesRead(), isComplete: begin === undefined && url === null && unfinished.length === 0, next: url });
}

async function isStored({ index }: Deps, blob: ObjectId): Promise<boolean> {
  return (await index.findings([blob])).has(blob);
}

interface Looking { readonly answer: Answer; readonly places: BlobPlaces; readonly begin: Place | undefined; readonly codebase: CodebaseView | undefined; readonly principal: Principal }

/** Where the next answer is to begin; undefined at the end. */
async function lookThrough(deps: Deps, { answer, places, begin, codebase, principal }: Looking): Promise<Place | undefined> {
  for await (const one of codebase === undefined ? codebasesFrom(deps, begin, principal) : [codebase]) {
    const from = begin?.codebase === one.id ? begin.ref : null;
    if (answer.codebases === CODEBASES_MAX) return { codebase: one.id, ref: from };
    answer.codebases += 1;
    const { histories, isAll } = await historiesOf(deps, one);
    for (const history of histories) {
      if (from !== null && history.ref < from) continue;
      const isFresh = places.treesRead() === 0 && answer.occurrences.length === 0;
      if (answer.occurrences.length >= OCCURRENCES_MAX) return { codebase: one.id, ref: history.ref };
      const { occurrences, stopped } = await occurrencesOf(places, history);
      // The next answer has room of its own; what had all of this one's will not fit into that either.
      if (stopped?.bound === 'trees' && !isFresh) return { codebase: one.id, ref: history.ref };
      const told = (version: VersionView) => positionOutside(deps.epoch, version.position);
      if (stopped !== undefined) answer.unfinished.push({ codebase: one.id, ref: history.ref, position: told(stopped.at), reason: stopped.bound });
      else if (!isAll && history.versions[0] !== undefined) answer.unfinished.push({ codebase: one.id, ref: history.ref, position: told(history.versions[0]), reason: 'versions' });
      answer.occurrences.push(...occurrences.map((occurrence) => occurrenceShown(deps.epoch, { codebase: one.id, ref: history.ref, occurrence })));
    }
  }
  return undefined;
}

async function* codebasesFrom({ store }: Deps, begin: Place | undefined, principal: Principal): AsyncGenerator<CodebaseView, void, void> {
  const first = begin !== undefined && await mayRead(store, principal, begin.codebase) ? await store.codebase(begin.codebase) : undefined;
  if (first !== undefined && isThere(first)) yield first;
  for (let after: string = begin?.codebase ?? ''; ;) {
    const page = await store.codebases({ after, limit: CODEBASES_A_PAGE, ...onlyReadableBy(principal) });
    yield* page.filter(isThere);
    const last = page.at(-1);
    if (last === undefined || page.length < CODEBASES_A_PAGE) return;
    after = last.id;
  }
}

const isThere = ({ state }: CodebaseView) => state === 'active' || state === 'archived';

/** Every ref that ever was, by name, its versions oldest first. */
async function historiesOf({ store }: Deps, { id }: CodebaseView): Promise<{ histories: RefHistory[]; isAll: boolean }> {
  const newestFirst: VersionView[] = [];
  let isAll = false;
  for (let before: Position | undefined; !isAll && newestFirst.length < VERSIONS_MAX;) {
    const page = await store.versions(id, { limit: VERSIONS_A_PAGE, ...(before === undefined ? {} : { before }) });
    newestFirst.push(...page);
    before = page.at(-1)?.position;
    isAll = page.length < VERSIONS_A_PAGE;
  }
  const byRef = new Map<RefName, VersionView[]>();
  for (const version of newestFirst.reverse()) {
    const known = byRef.get(version.ref);
    if (known === undefined) byRef.set(version.ref, [version]);
    else known.push(version);
  }
  return { histories: [...byRef].map(([ref, versions]) => ({ ref, versions })).sort((one, other) => (one.ref < other.ref ? -1 : 1)), isAll };
}

function occurrenceShown(epoch: string, { codebase, ref, occurrence }: { codebase: CodebaseId; ref: RefName; occurrence: Occurrence }): object {
  const { path, from, to } = occurrence;
  const moment = ({ commit, storedAt, position }: VersionView) => ({ commit, storedAt, position: positionOutside(epoch, position) });
  return { codebase, ref, ...shown('path', path), from: moment(from), to: to === undefined ? null : moment(to) };
}

const cursorText = ({ codebase, ref }: Place) => Buffer.from(JSON.stringify([codebase, ref])).toString('base64url');

function cursorOf(text: string | undefined): Place | undefined {
  if (text === undefined) return undefined;
  try {
    const [codebase, ref] = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as [unknown, unknown];
    if (ref === null || typeof ref === 'string') return { codebase: codebaseId.parse(codebase), ref: ref as RefName | null };
  } catch { /* Told below, as everything that we never gave. */ }
  throw new Problem(400, 'cursor-malformed', 'This is no after= as `next` gives it. Begin without it.');
}
