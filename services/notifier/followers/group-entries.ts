import type { CodebaseId, ObjectId, RefName } from '#schemas/brand.ts';
import type { FollowerEntry } from '#schemas/api/followers.ts';
import { positionOutside } from '#schemas/positions.ts';
import { diffTrees, type TreeChange } from '#shared/objects/diff-trees.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';
import { placeCursor } from './cursor.ts';
import type { Group } from './plan-groups.ts';

export interface EntriesDeps { readonly reader: Pick<ObjectReader, 'stream'>; readonly epoch: string }

/** Each change of a group, then the entry that closes it. With `after`, what comes behind that path. @throws as diffTrees does. */
export async function* entriesOf({ reader, epoch }: EntriesDeps, { group, generation, after, signal }: { group: Group; generation: number; after: Buffer | null; signal?: AbortSignal | undefined }): AsyncGenerator<FollowerEntry, void, void> {
  const { codebaseId: codebase, seq } = group;
  const cursor = placeCursor(epoch, { generation, doneSeq: seq, path: null });
  switch (group.kind) {
    case 'moved': {
      const { ref, from, to, position } = group;
      for await (const change of diffTrees(reader, { from: from?.tree, to: to.tree, after: after ?? undefined, signal })) {
        yield changeEntry(change, { codebase, ref, cursor: placeCursor(epoch, { generation, doneSeq: seq - 1, path: change.path }) });
      }
      yield { op: 'ref-moved', codebase, ref, from, to, position: positionOutside(epoch, position), cursor };
      return;
    }
    case 'deleted': yield { op: 'ref-deleted', codebase, ref: group.ref, cursor }; return;
    case 'granted': yield { op: 'access-granted', codebase, cursor }; return;
    case 'lost': yield { op: 'access-lost', codebase, cursor }; return;
    case 'removed': yield { op: 'codebase-removed', codebase, cursor }; return;
    default: group satisfies never;
  }
}

function changeEntry({ path, to }: TreeChange, where: { codebase: CodebaseId; ref: RefName; cursor: string }): FollowerEntry {
  const { codebase, ref, cursor } = where;
  const named = { codebase, ref, ...shownPath(path) };
  return to === undefined ? { op: 'delete', ...named, cursor } : { op: 'upsert', ...named, mode: to.mode, blob: to.id as ObjectId, cursor };
}

/** Paths in git are bytes: as text, and as hex too where the text is not the whole truth. */
export function shownPath(path: Buffer): { path: string; pathHex?: string } {
  const text = path.toString('utf8');
  return Buffer.from(text, 'utf8').equals(path) ? { path: text } : { path: text, pathHex: path.toString('hex') };
}
