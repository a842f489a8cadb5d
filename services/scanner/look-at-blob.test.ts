import fc from 'fast-check';
import { languageOf } from './language.ts';
import { lookAtBlob } from './look-at-blob.ts';

const look = (content: Buffer | string, path = 'a.ts') => lookAtBlob(path, Buffer.byteLength(content), Buffer.from(content));

test.each<[string, number]>([
  ['', 0], ['a', 1], ['a\n', 1], ['a\nb', 2], ['a\nb\n', 2], ['\n', 1], ['\n\n', 2], ['a\r\nb\r\n', 2], ['a\rb', 1], ['\n a', 2], ['é\n日', 2],
])('%j has %d lines', async (content, lines) => { expect(await look(content)).toMatchObject({ lines, isBinary: false }); });

test('a NUL among the first 8,000 bytes makes it binary, without lines or language; later it does not', async () => {
  const text = Buffer.alloc(20_000, 'a\n');
  const withNul = (at: number) => { const bytes = Buffer.from(text); bytes[at] = 0; return bytes; };
  for (const at of [0, 1, 7_999]) expect(await look(withNul(at))).toMatchObject({ isBinary: true, lines: null, language: null });
  for (const at of [8_000, 19_998]) expect(await look(withNul(at))).toMatchObject({ isBinary: false, lines: 10_000, language: 'TypeScript' });
});

const pieces = fc.array(fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes.map((byte) => (byte < 60 ? 10 : byte < 64 ? 0 : byte)))), { maxLength: 12 });

test('a stream says the same as a buffer, wherever it is cut, empty pieces too', async () => {
  await fc.assert(fc.asyncProperty(pieces, fc.integer({ min: 0, max: 8_010 }), async (some, filler) => {
    const all = [Buffer.alloc(filler, 'x'), ...some];
    const whole = Buffer.concat(all);
    const streamed = await lookAtBlob('a.ts', whole.length, (async function* () { yield* all; })());
    expect(streamed).toEqual(await lookAtBlob('a.ts', whole.length, whole));
    const isBinary = whole.subarray(0, 8_000).includes(0);
    const lines = whole.toString('latin1').split('\n').length - (whole.length === 0 || whole.at(-1) === 10 ? 1 : 0);
    expect(streamed).toMatchObject({ isBinary, lines: isBinary ? null : lines });
  }), { numRuns: 200 });
});

const POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 12345\n`;

test.each<[string, string, boolean]>([
  ['a pointer', POINTER, true], ['one that is too long to be one', POINTER + '#'.repeat(1_024), false], ['another version', POINTER.replace('v1', 'v9'), false], ['a text about it', `see ${POINTER}`, false], ['nothing', '', false],
])('%s: is it an LFS pointer?', async (_what, content, expected) => { expect((await look(content)).isLfsPointer).toBe(expected); });

test.each<[string, boolean, boolean]>([
  ['src/app.ts', false, false], ['package-lock.json', true, false], ['web/package-lock.json', true, false], ['my-package-lock.json', false, false], ['dist/x.min.js', true, false], ['a.js.map', true, false], ['api.pb.go', true, false], ['api_pb2.py', true, false], ['go.sum', true, false],
  ['vendor/x.go', false, true], ['a/node_modules/b/index.js', false, true], ['third_party/x.c', false, true], ['vendors/x.go', false, false], ['vendor', false, false], ['myvendor/x', false, false], ['node_modules/x/yarn.lock', true, true],
])('%s: generated %s, vendored %s', async (path, isGenerated, isVendored) => { expect(await look('x', path)).toMatchObject({ isGenerated, isVendored }); });

test.each<[string, string | null]>([
  ['a.ts', 'TypeScript'], ['A.TS', 'TypeScript'], ['a.d.ts', 'TypeScript'], ['a.tsx', 'TSX'], ['x.h', 'C'], ['x.m', 'Objective-C'], ['x.md', 'Markdown'], ['x.rs', 'Rust'], ['x.yml', 'YAML'], ['x.json', 'JSON'], ['x.php', 'PHP'], ['x.cs', 'C#'], ['x.sql', 'SQL'],
  ['Makefile', 'Makefile'], ['Dockerfile', 'Dockerfile'], ['CMakeLists.txt', 'CMake'], ['notes.txt', 'Text'],
  ['README', null], ['', null], ['.', null], ['no-ending', null], ['x.nobody-knows', null], ['constructor', null], ['a.__proto__', null], ['toString', null],
])('%j is %s', (name, language) => { expect(languageOf(name)).toBe(language); });
