import type { ObjectId } from '#schemas/brand.ts';
import type { CommitObjects, GitObject } from '#shared/gitlab/git-transport.ts';
import { gitId } from '#shared/objects/git-objects.ts';
import type { ObjectKind } from '#shared/objects/object-index.ts';
import { walk } from './walk.ts';

/** Objects in memory, of which a cheap opening holds none. */
function repository() {
  const objects = new Map<ObjectId, GitObject>();
  const put = (kind: ObjectKind, content: Buffer) => {
    const id = gitId(kind, content, 'sha1');
    objects.set(id, { id, kind, bytes: content.length, content });
    return id;
  };
  const blob = (text: string) => ({ mode: '100644', id: put('blob', Buffer.from(text)) });
  const folder = (entries: Record<string, { mode: string; id: ObjectId }>) =>
    ({ mode: '40000', id: put('tree', Buffer.concat(Object.entries(entries).map(([name, { mode, id }]) => Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(id, 'hex')])))) });
  return { objects, blob, folder };
}

/** What was packed, and how often everything was asked for at once. */
async function walked({ objects }: ReturnType<typeof repository>, root: ObjectId, known: ReadonlySet<ObjectId> = new Set()) {
  const packed: ObjectId[] = [];
  let broughtAll = 0;
  const commit: CommitObjects = {
    get isComplete() { return broughtAll > 0; },
    async* read(ids) { for (const id of ids) yield objects.get(id)!; },
    bringAll: async () => { broughtAll += 1; },
    close: async () => undefined,
  };
  await walk({
    root, format: 'sha1', objects: commit, signal: new AbortController().signal, onProgress: () => undefined,
    index: { known: async (ids) => new Set(ids.filter((id) => known.has(id))) },
    pack: { add: async ({ id }) => { packed.push(id); } },
  });
  return { packed, broughtAll };
}

test('of a codebase that nobody knows everything is asked for at once, also where one folder holds it all', async () => {
  const one = repository();
  const src = one.folder({ 'a.txt': one.blob('a'), 'b.txt': one.blob('b') });
  const flat = await walked(one, one.folder({ 'readme': one.blob('r'), src }).id);
  expect(flat).toMatchObject({ broughtAll: 1 });
  expect(new Set(flat.packed).size).toBe(5);
  const lone = await walked(one, one.folder({ deep: one.folder({ src }) }).id);
  expect(lone).toMatchObject({ broughtAll: 1 });
  expect(new Set(lone.packed).size).toBe(5);
});

test('a push into the one folder that holds all is asked for level by level', async () => {
  const one = repository();
  const [a, b] = [one.blob('a'), one.blob('b')];
  const before = one.folder({ 'a.txt': a, 'b.txt': b });
  const known = new Set([a.id, b.id, before.id, one.folder({ src: before }).id]);
  const src = one.folder({ 'a.txt': a, 'b.txt': one.blob('changed') });
  const root = one.folder({ src });
  const { packed, broughtAll } = await walked(one, root.id, known);
  expect(broughtAll).toBe(0);
  expect(packed).toEqual([root.id, src.id, one.blob('changed').id]);
  const deep = one.folder({ main: one.folder({ java: src }) });
  expect(await walked(one, deep.id, known)).toMatchObject({ broughtAll: 0 });
});

test('a lone file is asked for by itself', async () => {
  const one = repository();
  expect(await walked(one, one.folder({ 'a.txt': one.blob('a') }).id)).toMatchObject({ broughtAll: 0 });
});
