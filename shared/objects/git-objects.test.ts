import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import type { GitObjectFormat, ObjectId } from '#schemas/brand.ts';
import { parseCommit } from './git-commit.ts';
import { emptyTree, formatOf, gitId, gitIdHash } from './git-objects.ts';
import { TreeMalformed, parseTree, type TreeEntryMode } from './git-tree.ts';
import type { ObjectKind } from './object-index.ts';

const ID = 'a'.repeat(40);
/** A tree as git writes it, from lines `mode name`. */
function treeOf(...entries: readonly (readonly [mode: string, name: string | Buffer])[]): Buffer {
  return Buffer.concat(entries.flatMap(([mode, name]) => [Buffer.from(`${mode} `), Buffer.from(name), Buffer.from([0]), Buffer.from(ID, 'hex')]));
}

describe.each(['sha1', 'sha256'] as const)('against a real repository (%s)', (format: GitObjectFormat) => {
  let folder: string;
  const git = (args: readonly string[], input?: Buffer | string) =>
    execFileSync('git', ['-C', folder, '-c', 'user.name=Zoë', '-c', 'user.email=zoe@example.org', ...args], { input, stdio: ['pipe', 'pipe', 'pipe'], maxBuffer: 64_000_000 });

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tekai-git-'));
    git(['init', '-q', `--object-format=${format}`, '.']);
    const blob = (content: Buffer | string) => git(['hash-object', '-w', '--stdin'], content).toString().trim();
    const [text, binary, empty, link] = [blob('hello\n'), blob(Buffer.from([0, 1, 2, 255, 254])), blob(''), blob('../outside')];
    const commit = 'b'.repeat(format === 'sha1' ? 40 : 64);
    const entry = (mode: string, id: string, name: string | Buffer) => Buffer.concat([Buffer.from(`${mode} ${id}\t`), Buffer.from(name), Buffer.from([0])]);
    git(['update-index', '-z', '--index-info'], Buffer.concat([
      entry('100644', text, 'a'), entry('100644', text, 'a.b'), entry('100644', text, 'a-b/c'), entry('100644', text, 'a0'),
      entry('100755', binary, 'bin/run me.sh'), entry('120000', link, 'link'), entry('160000', commit, 'libs/sub'),
      entry('100644', empty, 'empty'), entry('100644', text, 'tab\tand "quote"\nnewline'), entry('100644', text, 'höhe/日本語.txt'),
      entry('100644', text, Buffer.from([0x66, 0xff, 0xfe, 0x80])), entry('100644', text, Buffer.from([0xe9, 0x2f, 0x78])),
      entry('100644', text, 'x'.repeat(300)), entry('100644', text, 'lib/a'), entry('100644', text, 'lib.ts'), entry('100644', text, 'lib-x'), entry('100644', text, 'lib0'),
    ]));
    git(['-c', 'i18n.commitEncoding=ISO-8859-1', 'commit', '-q', '-F', '-', '--date', '1700000000 -0330'], Buffer.from('Gr\xfc\xdfe\n\nzweite Zeile\n', 'latin1'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const objects = () => git(['cat-file', '--batch-all-objects', '--batch-check']).toString().trim().split('\n')
    .map((line) => line.split(' ') as [ObjectId, ObjectKind, string]);

  test('every object has the id that git gave it', () => {
    expect(objects().length).toBeGreaterThan(8);
    for (const [id, kind] of objects()) {
      const content = git(['cat-file', kind, id]);
      expect(gitId(kind, content, format)).toBe(id);
      expect(formatOf(id)).toBe(format);
    }
  });

  test('every tree has the entries that git lists', () => {
    const trees = objects().filter(([, kind]) => kind === 'tree');
    expect(trees.length).toBeGreaterThan(4);
    for (const [id] of trees) {
      const listed = parseTree(git(['cat-file', 'tree', id]), format).map(({ mode, name, id: entry }) =>
        Buffer.concat([Buffer.from(`${mode} ${mode === '040000' ? 'tree' : mode === '160000' ? 'commit' : 'blob'} ${entry}\t`), name, Buffer.from([0])]));
      expect(Buffer.concat(listed).equals(git(['ls-tree', '-z', id]))).toBe(true);
    }
  });

  test('the empty tree is the one git knows', () => {
    expect(emptyTree(format)).toBe(git(['hash-object', '-t', 'tree', '--stdin'], '').toString().trim());
  });

  test('a commit reads as git shows it', () => {
    const commit = parseCommit(git(['cat-file', 'commit', 'HEAD']));
    expect(commit).toMatchObject({
      tree: git(['rev-parse', 'HEAD^{tree}']).toString().trim(), parents: [], encoding: 'ISO-8859-1', message: 'Grüße\n\nzweite Zeile\n',
      author: { email: 'zoe@example.org', time: new Date(1_700_000_000_000), offsetMinutes: -210 },
    });
  });
});

test('an id is the same from pieces as from a buffer', () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), fc.constantFrom<ObjectKind>('commit', 'tree', 'blob'), (pieces, kind) => {
    const content = Buffer.concat(pieces);
    const hash = gitIdHash(kind, content.length, 'sha1');
    for (const piece of pieces) hash.update(Buffer.from(piece));
    expect(hash.id()).toBe(gitId(kind, content, 'sha1'));
  }));
});

describe('trees', () => {
  const names = (tree: Buffer) => parseTree(tree, 'sha1').map(({ mode, name }) => `${mode} ${name}`);

  test('any set of names in git\'s order is read back, and in any other order refused', () => {
    const name = fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x2e : byte))))
      .filter((bytes) => !['.', '..'].includes(bytes.toString('latin1')));
    const entry = fc.tuple(fc.constantFrom('40000', '100644', '100755', '120000', '160000'), name);
    const key = ([mode, bytes]: readonly [string, Buffer]) => Buffer.concat([bytes, Buffer.from(mode === '40000' ? '/' : '')]);
    const sets = fc.uniqueArray(entry, { selector: ([, bytes]) => bytes.toString('hex'), maxLength: 30 });
    fc.assert(fc.property(sets, fc.nat(), (entries, at) => {
      const sorted = entries.toSorted((left, right) => key(left).compare(key(right)));
      const parsed = parseTree(treeOf(...sorted), 'sha1');
      expect(parsed.map((one) => [one.mode, one.name.toString('hex'), one.id])).toEqual(sorted.map(([mode, bytes]) => [mode.padStart(6, '0'), bytes.toString('hex'), ID]));
      if (sorted.length < 2) return;
      const first = at % (sorted.length - 1);
      const swapped = sorted.with(first, sorted[first + 1]!).with(first + 1, sorted[first]!);
      expect(() => parseTree(treeOf(...swapped), 'sha1')).toThrow(TreeMalformed);
    }));
  });

  test('a tree cut anywhere but between entries is malformed', () => {
    const tree = treeOf(['100644', 'a'], ['40000', 'b']);
    const between = treeOf(['100644', 'a']).length;
    for (let bytes = 1; bytes < tree.length; bytes++) {
      if (bytes !== between) expect(() => parseTree(tree.subarray(0, bytes), 'sha1')).toThrow(TreeMalformed);
    }
    expect(parseTree(Buffer.alloc(0), 'sha1')).toEqual([]);
  });

  test('bytes of any kind give entries or TreeMalformed, nothing else', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try { parseTree(Buffer.from(bytes), 'sha1'); } catch (error) { expect(error).toBeInstanceOf(TreeMalformed); }
    }));
  });

  test.each<[string, (readonly [string, string | Buffer])[]]>([
    ['an empty name', [['100644', '']]],
    ['.', [['100644', '.']]],
    ['..', [['40000', '..']]],
    ['a name with a slash', [['100644', 'a/b']]],
    ['the same name twice', [['100644', 'a'], ['100644', 'a']]],
    ['a file and a folder of one name', [['100644', 'a'], ['40000', 'a']]],
    ['a file and a folder of one name, apart', [['100644', 'a'], ['100644', 'a-b'], ['100644', 'a.b'], ['40000', 'a']]],
    ['a submodule and a folder of one name, apart', [['160000', 'a'], ['40000', 'a-b'], ['40000', 'a']]],
    ['a wrong order', [['100644', 'b'], ['100644', 'a']]],
    ['a folder sorted as if it were a file', [['40000', 'a'], ['100644', 'a.b']]],
    ['a kind that git does not know', [['060000', 'disk']]],
    ['mode 0, which git takes for a submodule', [['0', 'hidden']]],
    ['a mode of letters', [['10064x', 'a']]],
    ['no mode', [['', 'a']]],
    ['an endless mode', [['00000000100644', 'a']]],
  ])('refused: %s', (_, entries) => {
    expect(() => parseTree(treeOf(...entries), 'sha1')).toThrow(TreeMalformed);
  });

  test('the error says where', () => {
    expect(() => parseTree(treeOf(['100644', 'a'], ['100644', '..']), 'sha1')).toThrow('tree malformed at byte 29: the name ".."');
  });

  test.each<[string, string, TreeEntryMode]>([
    ['100664', 'group-writable, by old tools', '100644'],
    ['100600', 'private, by odd tools', '100644'],
    ['100654', 'executable for the group alone, which git does not count', '100644'],
    ['100775', 'executable and group-writable', '100755'],
    ['040000', 'zero-padded, by old tools', '040000'],
    ['120777', 'a link with permissions', '120000'],
  ])('mode %s (%s) is read as git reads it', (written, _, mode) => {
    expect(names(treeOf([written, 'a']))).toEqual([`${mode} a`]);
  });

  test('names that only a checkout would fear are taken: nobody checks out here', () => {
    expect(names(treeOf(['100644', '...'], ['40000', '.git'], ['100644', 'a\\b'], ['100644', 'con'])).length).toBe(4);
  });
});

describe('commits', () => {
  const parse = (...lines: readonly string[]) => parseCommit(Buffer.from(lines.join('\n'), 'utf8'));

  test('signatures and merged tags are passed over, also what in them looks like a header', () => {
    const commit = parse(`tree ${ID}`, `parent ${ID}`, `parent ${'c'.repeat(40)}`, 'author A <a@b> 1 +0000', 'committer C <c@d> 2 +0000',
      'gpgsig -----BEGIN PGP SIGNATURE-----', ' ', ` parent ${ID}`, ' -----END PGP SIGNATURE-----', 'mergetag object 00', ' type commit', ' tag v1', ' ', ' author X <x> 3 +0000', '', 'subject', '', 'tree of nothing', '');
    expect(commit).toEqual({
      tree: ID, parents: [ID, 'c'.repeat(40)], encoding: undefined, message: 'subject\n\ntree of nothing\n',
      author: { name: 'A', email: 'a@b', time: new Date(1_000), offsetMinutes: 0 }, committer: { name: 'C', email: 'c@d', time: new Date(2_000), offsetMinutes: 0 },
    });
  });

  test.each([
    ['author Nobody', { name: 'Nobody', email: '', time: undefined }],
    ['author  <> 1700000000 +0000', { name: '', email: '', time: new Date(1_700_000_000_000) }],
    ['author A <a@b> +0000', { name: 'A', email: 'a@b', time: undefined }],
    ['author A <a@b> 99999999999999999 +0000', { time: undefined }],
    ['author A <a@b>1 +0100', { time: new Date(1_000), offsetMinutes: 60 }],
    ['author A <a <b@c> 5 -0001', { name: 'A', email: 'a <b@c', time: new Date(5_000), offsetMinutes: -1 }],
    ['author A <a@b> -100 +0000', { time: new Date(-100_000) }],
  ])('%s', (line, author) => {
    expect(parse(`tree ${ID}`, line, '', 'x').author).toMatchObject(author);
  });

  test('a commit without a message, and one without headers', () => {
    expect(parse(`tree ${ID}`, '')).toMatchObject({ tree: ID, message: '', author: undefined });
    expect(parse('', 'only text')).toMatchObject({ tree: undefined, parents: [], message: 'only text' });
    expect(parse(`tree ${ID}`, 'encoding klingon', '', 'ü')).toMatchObject({ encoding: 'klingon', message: 'ü' });
  });

  test('any bytes are read without an error', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(typeof parseCommit(Buffer.from(bytes)).message).toBe('string');
      expect(typeof parseCommit(Buffer.concat([Buffer.from(`tree ${ID}\nauthor `), bytes])).message).toBe('string');
    }));
  });
});
