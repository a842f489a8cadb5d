import fc from 'fast-check';
import { bytesOf, segmentsOf, shown } from './path-bytes.ts';

const escaped = (bytes: Uint8Array) => [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
const plainest = (bytes: Uint8Array) => [...bytes].map((byte) => (/[A-Za-z0-9._~/-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, '0').toUpperCase()}`)).join('');

test.each<[string, Buffer]>([
  ['', Buffer.alloc(0)],
  ['a/b.ts', Buffer.from('a/b.ts')],
  ['%41%2f%2F', Buffer.from('A//')],
  ['%25', Buffer.from('%')],
  ['%252F', Buffer.from('%2F')],
  ['a+b%20c', Buffer.from('a+b c')],
  ['%E6%97%A5', Buffer.from('日')],
  ['%ff%FE%00', Buffer.from([0xff, 0xfe, 0])],
  ['é', Buffer.from('é')],
])('%j stands for its bytes', (encoded, bytes) => { expect(bytesOf(encoded).equals(bytes)).toBe(true); });

test.each(['%', '%4', 'a%zz', '%%41', '%4g', 'a%2', '%2%46'])('the bad escape in %j is refused, not guessed', (encoded) => {
  expect(() => bytesOf(encoded)).toThrow(expect.objectContaining({ status: 400, code: 'bad-escape' }));
});

test('a path that is too long is refused', () => {
  expect(() => bytesOf('%41'.repeat(8_193))).toThrow(expect.objectContaining({ status: 400, code: 'path-too-long' }));
  expect(bytesOf('%41'.repeat(8_192))).toHaveLength(8_192);
});

test('any bytes, however they are escaped, come back as they were', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    expect(bytesOf(escaped(bytes)).equals(bytes)).toBe(true);
    expect(bytesOf(plainest(bytes)).equals(bytes)).toBe(true);
  }));
});

test('any text that a browser escapes comes back as its UTF-8', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
    expect(bytesOf(encodeURIComponent(text)).toString('utf8')).toBe(text);
  }));
});

test.each<[string, string[]]>([
  ['', []], ['/', []], ['///', []], ['a', ['a']], ['/a/', ['a']], ['a//b', ['a', 'b']], ['a/../b', ['a', '..', 'b']], ['.', ['.']],
])('the names in %j are %j', (path, names) => { expect(segmentsOf(Buffer.from(path)).map(String)).toEqual(names); });

test('joined again, the names of any path are the path without doubled slashes', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, slashes) => {
    const path = Buffer.from(slashes ? bytes.map((byte) => (byte % 3 === 0 ? 0x2f : byte)) : bytes);
    const joined = segmentsOf(path).map((name) => name.toString('latin1')).join('/');
    expect(joined).toBe(path.toString('latin1').replace(/\/+/g, '/').replace(/^\/|\/$/g, ''));
  }));
});

test('what is shown leads back to the bytes, always', () => {
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.string({ unit: 'binary' }).map((text) => Buffer.from(text))), (bytes) => {
    const { name = '', nameHex } = shown('name', Buffer.from(bytes)) as { name?: string; nameHex?: string };
    expect(Buffer.from(nameHex ?? Buffer.from(name).toString('hex'), 'hex').equals(bytes)).toBe(true);
  }));
  expect(shown('name', Buffer.from('日本'))).toEqual({ name: '日本' });
});
