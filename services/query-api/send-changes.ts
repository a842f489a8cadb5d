import type { Request, Response } from 'express';
import type { ObjectId } from '#schemas/brand.ts';
import type { TreeLeaf } from '#shared/objects/diff-trees.ts';
import type { CodebaseView } from '#shared/read-store/read-store.ts';
import { mustBeKnown, type Principal } from '#shared/runtime/access.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { textOf } from '#shared/runtime/query-text.ts';
import { changesCounted, changesPage, statusOf, type Change } from './changes.ts';
import type { Deps } from './codebase-routes.ts';
import { limitOf } from './parameters.ts';
import { bytesOfHex, shown } from './path-bytes.ts';
import { otherCodebaseOf, receiptHeaders, receiptOf, resolveVersion, type Resolved } from './resolve-version.ts';
import { rootOf } from './send-content.ts';
import { typeOf } from './tree-entries.ts';

interface ChangesRequest { readonly request: Request; readonly response: Response; readonly codebase: CodebaseView; readonly signal: AbortSignal }

/**
 * `GET …/changes?from=&to=`: what differs between two versions, of different refs (`fromRef=`) or codebases (`fromCodebase=`) too.
 * Costs by the difference. `next` names both versions by their positions, so that pages never mix others in.
 */
export async function sendChanges(deps: Deps, { request, response, codebase, signal }: ChangesRequest): Promise<void> {
  const [from, to] = await sidesOf(deps, request, { codebase, principal: mustBeKnown(response) });
  const isLookingForRenames = isNot(request, 'renames', 'false');
  const trees = { from: rootOf(from), to: rootOf(to), isLookingForRenames, signal };
  checkFormats(trees);
  response.set(receiptHeaders(deps.epoch, to));
  const about = { from: receiptOf(deps.epoch, from), to: receiptOf(deps.epoch, to) };
  if (!isNot(request, 'summary', 'true')) {
    response.json({ ...about, ...await changesCounted(deps.reader, trees), changes: [], next: null });
    return;
  }
  const after = textOf(request, 'after');
  const limit = limitOf(request);
  const page = await changesPage(deps.reader, { ...trees, limit, after: after === undefined ? undefined : bytesOfHex(after) });
  const next = page.next === undefined ? null : nextUrl(deps.epoch, { from, to, limit, after: page.next, isLookingForRenames });
  if (next !== null) response.setHeader('Link', `<${next}>; rel="next"`);
  response.json({ ...about, areRenamesFound: page.areRenamesFound, counts: page.counts ?? null, changes: page.changes.map(changeShown), next });
}

async function sidesOf(deps: Deps, request: Request, { codebase, principal }: { codebase: CodebaseView; principal: Principal }): Promise<[Resolved, Resolved]> {
  const from = textOf(request, 'from');
  if (from === undefined) throw new Problem(400, 'from-missing', 'Since when? from= takes a commit, a position, a time or a ref; to= the same (default: now).');
  const other = textOf(request, 'fromCodebase');
  const ref = textOf(request, 'ref');
  const fromCodebase = other === undefined ? codebase : await otherCodebaseOf(deps.store, principal, other);
  return Promise.all([
    sideOf(deps, fromCodebase, { moment: from, ref: textOf(request, 'fromRef') ?? ref }),
    sideOf(deps, codebase, { moment: textOf(request, 'to'), ref }),
  ]);
}

/** What is neither a commit, a position nor a time is a ref. */
async function sideOf(deps: Deps, codebase: CodebaseView, { moment, ref }: { moment: string | undefined; ref: string | undefined }): Promise<Resolved> {
  try {
    return await resolveVersion(deps, codebase, { ref, at: moment });
  } catch (error) {
    if (moment === undefined || !(error instanceof Problem) || error.code !== 'at-malformed') throw error;
    return resolveVersion(deps, codebase, { ref: moment, at: undefined });
  }
}

function checkFormats({ from, to }: { from: ObjectId; to: ObjectId }): void {
  if (from.length !== to.length) throw new Problem(422, 'formats-differ', 'One version names its objects by SHA-1, the other by SHA-256: no two ids of them are ever equal, so there is nothing to compare by.');
}

/** A switch with two positions: true unless it says `word`. @throws Problem 400 for a third. */
function isNot(request: Request, name: string, word: 'true' | 'false'): boolean {
  const value = textOf(request, name);
  if (value !== undefined && value !== 'true' && value !== 'false') throw new Problem(400, 'switch-malformed', `${name}= takes true or false.`);
  return value !== word;
}

function changeShown(change: Change): object {
  const { path, from, to, renamedFrom } = change;
  return { status: statusOf(change), ...shown('path', path), ...(renamedFrom === undefined ? {} : shown('renamedFrom', renamedFrom)), from: leafShown(from), to: leafShown(to) };
}

function leafShown(leaf: TreeLeaf | undefined): object | null {
  return leaf === undefined ? null : { type: typeOf(leaf), mode: leaf.mode, id: leaf.id };
}

function nextUrl(epoch: string, { from, to, limit, after, isLookingForRenames }: { from: Resolved; to: Resolved; limit: number; after: Buffer; isLookingForRenames: boolean }): string {
  const [of, at] = [receiptOf(epoch, from), receiptOf(epoch, to)];
  const query = new URLSearchParams({ fromCodebase: of.codebase, fromRef: of.ref, from: of.position, ref: at.ref, to: at.position, limit: String(limit), ...(isLookingForRenames ? {} : { renames: 'false' }), after: after.toString('hex') });
  return `/v1/codebases/${at.codebase}/changes?${query.toString()}`;
}
