import { readTree, resolveRevision, type TreeEntry } from '../git/repository.ts';
import { json, notFound } from '../http/answer.ts';
import { isKeyset, offsetPage, tokenKeysetPage } from '../http/paging.ts';
import type { Call, Route } from '../http/router.ts';
import type { Instance } from '../instance.ts';
import { isVersionAtLeast } from '../state/settings.ts';
import { findProjectWithCode } from './find.ts';
import { commitOf, viewOf } from './view.ts';

export function treeRoutes(instance: Instance): Route[] {
  return [{ method: 'GET', pattern: '/projects/:id/repository/tree', endpoint: (call) => listTree(instance, call) }];
}

/** The listings of a few trees are kept: 1,000 pages of 100,000 entries would else list the whole tree 1,000 times. */
const LISTINGS_KEPT_MAX = 4;
const listings = new Map<string, Promise<TreeEntry[]>>();

async function listTree(instance: Instance, call: Call) {
  const project = findProjectWithCode(instance, call);
  const view = viewOf(instance, project);
  const commit = await commitOf(view, call.input.text('ref') || undefined);
  // Also for an empty repository.
  if (commit === null) throw notFound('Tree');
  const path = (call.input.text('path') ?? '').replace(/^\/+|\/+$/g, '');
  const isRecursive = call.input.flag('recursive') === true;
  const tree = await resolveRevision(view.repository, path === '' ? `${commit}^{tree}` : `${commit}:${path}`);
  const entries = tree === null ? null : await keptListing(view.repository, tree, isRecursive);
  if (entries === null) {
    if (isVersionAtLeast(instance.state.settings(), 17, 7)) throw notFound('invalid revision or path');
    return json([]);
  }
  const show = (entry: TreeEntry): unknown => {
    const fullPath = path === '' ? entry.path : `${path}/${entry.path}`;
    return { id: entry.id, name: fullPath.slice(fullPath.lastIndexOf('/') + 1), type: entry.type, path: fullPath, mode: entry.mode };
  };
  if (isKeyset(call)) return tokenKeysetPage(call, entries, { tokenOf: (entry) => entry.path, show });
  if (call.input.text('pagination') === 'none' && isRecursive) return json(entries.map(show));
  return offsetPage(call, entries, show);
}

async function keptListing(repository: string, tree: string, isRecursive: boolean): Promise<TreeEntry[] | null> {
  const key = `${repository} ${tree} ${isRecursive}`;
  let listing = listings.get(key);
  if (!listing) {
    // A path that names a file has no entries to list; git says so by failing.
    listing = readTree(repository, tree, isRecursive).then((entries) => inGitLabOrder(entries, isRecursive));
    listings.set(key, listing);
    for (const old of [...listings.keys()].slice(0, -LISTINGS_KEPT_MAX)) listings.delete(old);
  }
  try {
    return await listing;
  } catch {
    listings.delete(key);
    return null;
  }
}

/** One folder's worth: folders first, then files, then submodules. All of it: as git has it. */
function inGitLabOrder(entries: TreeEntry[], isRecursive: boolean): TreeEntry[] {
  if (isRecursive) return entries;
  const rank: Record<string, number> = { tree: 0, blob: 1, commit: 2 };
  return entries.map((entry, at) => ({ entry, at })).sort((a, b) => (rank[a.entry.type] ?? 3) - (rank[b.entry.type] ?? 3) || a.at - b.at).map(({ entry }) => entry);
}
