import { createMemoryBlobStore } from '#shared/blobs/memory-blob-store.ts';
import { createMemoryObjectIndex } from '#shared/objects/memory-object-index.ts';
import type { ObjectKind } from '#shared/objects/object-index.ts';
import { createObjectReader, type ObjectReader } from '#shared/objects/object-reader.ts';
import type { ObjectId } from '#schemas/brand.ts';
import { packed, type Made } from '#tests/harness/git-objects.ts';
import type { Repository } from '#tests/harness/repository.ts';

/** Every object of a repository in packs and an index, as the engine keeps them, and a reader of that. */
export async function storedObjects({ gitBytes }: Repository): Promise<ObjectReader> {
  const out = gitBytes(['cat-file', '--batch', '--batch-all-objects']);
  const objects: Made[] = [];
  for (let at = 0; at < out.length;) {
    const head = out.toString('latin1', at, out.indexOf(0x0a, at));
    const [id = '', kind = '', bytes = '0'] = head.split(' ');
    const from = at + head.length + 1;
    objects.push({ id: id as ObjectId, kind: kind as ObjectKind, bytes: Number(bytes), content: out.subarray(from, from + Number(bytes)) });
    at = from + Number(bytes) + 1;
  }
  const blobs = createMemoryBlobStore();
  const index = createMemoryObjectIndex();
  const order: readonly ObjectKind[] = ['commit', 'tree', 'blob'];
  const { places } = await packed(blobs, objects.sort((one, other) => order.indexOf(one.kind) - order.indexOf(other.kind)));
  await index.record(places, new Map());
  return createObjectReader({ index, blobs });
}

/** `git diff-tree -r --no-renames`, a line a change: both modes, both ids, the path in hex. */
export function diffTree({ gitBytes }: Repository, from: string, to: string): string[] {
  const fields = gitBytes(['diff-tree', '-r', '--no-renames', '-z', from, to]).toString('latin1').split('\0');
  const changes: string[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [before, after, one, other] = fields[at]!.slice(1).split(' ');
    changes.push(`${before} ${after} ${one} ${other} ${Buffer.from(fields[at + 1]!, 'latin1').toString('hex')}`);
  }
  return changes;
}

/** A linear history of random edits in one stream, so that a thousand commits take a second. Returns the commits, oldest first. */
export function randomHistory({ git, gitBytes }: Repository, { commits, below }: { commits: number; below: (count: number) => number }): string[] {
  const pathOf = () => `d${below(6)}/${below(3) === 0 ? `e${below(4)}/` : ''}f${below(12)}${['', '.ts', '\\377', ' x'][below(4)]}`;
  const lines: string[] = [];
  for (let n = 0; n < commits; n += 1) {
    lines.push('commit refs/heads/random', `committer Ann <ann@example.com> ${1_700_000_000 + n} +0000`, 'data 1', 'x');
    for (let edit = below(6); edit >= 0; edit -= 1) {
      const path = pathOf();
      const content = `content ${below(25)}`;
      switch (below(12)) {
        case 0: case 1: lines.push(`D "${path}"`); break;
        case 2: lines.push(`D "d${below(6)}"`, `M 160000 ${'1'.repeat(39)}${below(9)} "sub${below(2)}"`); break;
        case 3: lines.push(`M 120000 inline "${path}"`, `data ${content.length}`, content); break;
        default: lines.push(`M ${below(5) === 0 ? '100755' : '100644'} inline "${path}"`, `data ${content.length}`, content);
      }
    }
  }
  gitBytes(['fast-import', '--quiet', '--force'], Buffer.from(`${lines.join('\n')}\n`));
  return git('rev-list', '--reverse', 'random').split('\n');
}

/** The same numbers every time. */
export function seeded(seed: number): (count: number) => number {
  let state = seed;
  return (count) => { state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff; return Math.floor((state / 0x80000000) * count); };
}
