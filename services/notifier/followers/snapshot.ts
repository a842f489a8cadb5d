import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { SnapshotLine } from '#schemas/api/followers.ts';
import type { CodebaseId, Position } from '#schemas/brand.ts';
import { positionOutside } from '#schemas/positions.ts';
import { diffTrees } from '#shared/objects/diff-trees.ts';
import { inTransaction } from '#shared/postgres/in-transaction.ts';
import type { RefAt } from '#shared/read-store/ref-vectors.ts';
import { snapshotCursor } from './cursor.ts';
import { lookAt, stillShown, type FeedDeps } from './feed.ts';
import type { Follower } from './follower-rows.ts';
import { shownPath } from './group-entries.ts';
import { keepSnapshot } from './snapshot-rows.ts';

/** Lines judged and told together. */
const LINES_AT_ONCE = 1_000;

/**
 * The whole state at a position (default: now), in one order: refs by codebase and name, files by the bytes of their paths.
 * The same each time for the same position, scope and access. Yields lines together, each time judged just before: when
 * something is not to be shown any more the last line is `cut`, and there is no end.
 */
export async function* snapshotLines(deps: FeedDeps, follower: Follower, { at, signal }: { at?: Position | undefined; signal?: AbortSignal | undefined }): AsyncGenerator<SnapshotLine[], void, void> {
  const { vector, shown } = await lookAt(deps, follower, at);
  if (at === undefined && follower.seen.epoch === deps.epoch && follower.seen.position > vector.position) throw new Unavailable('read tables', 'they stand before what this follower was told already');
  const codebases = [...shown].sort();
  const refs = vector.refs.filter(({ codebaseId }) => shown.has(codebaseId)).sort(byName);
  // Kept before it is told: whoever has its end can acknowledge it.
  const id = await inTransaction(deps.pool, (client) => keepSnapshot(client, follower.id, { position: vector.position, codebases, refs }));
  const position = positionOutside(deps.epoch, vector.position);

  let lines: SnapshotLine[] = [{ op: 'snapshot', position }];
  const isStillSo = async () => (await stillShown(deps, follower, codebases)).size === codebases.length;
  for (const one of refs) {
    lines.push({ op: 'ref', codebase: one.codebaseId, ref: one.ref, commit: one.commit, tree: one.tree, position: positionOutside(deps.epoch, one.position) });
    for await (const { path, to } of diffTrees(deps.reader, { from: undefined, to: one.tree, signal })) {
      if (to !== undefined) lines.push({ op: 'file', ...shownPath(path), mode: to.mode, blob: to.id });
      if (lines.length < LINES_AT_ONCE) continue;
      if (!(await isStillSo())) { yield [CUT]; return; }
      yield lines;
      lines = [];
    }
  }
  lines.push({ op: 'end', position, cursor: snapshotCursor(deps.epoch, id) });
  yield (await isStillSo()) ? lines : [CUT];
}

const CUT: SnapshotLine = { op: 'cut', detail: 'What you may read changed while this was told. Drop it, and ask again.' };

const byName = (left: RefAt, right: RefAt) => compare(left.codebaseId, right.codebaseId) || compare(left.ref, right.ref);
const compare = (left: CodebaseId | RefAt['ref'], right: CodebaseId | RefAt['ref']) => Buffer.compare(Buffer.from(left), Buffer.from(right));
