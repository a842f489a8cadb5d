import { nearestName } from './nearest-name.ts';
import { ageInWords, bytesInWords, printable, table } from './plain-text.ts';

test('what would act on a terminal is shown instead', () => {
  expect(printable('a\tb\n\u001b[2J\u202egnp.exe\u0085é 漢')).toBe('a\\tb\\n\\u001b[2J\\u202egnp.exe\\u0085é 漢');
});

test('columns are as wide as their widest cell, and lines have no blanks at the end', () => {
  expect(table(['A', 'LONG'], [['xxx', ''], ['漢', 'y']])).toBe('A    LONG\nxxx\n漢    y\n');
});

test.each([[0, '0 B'], [999, '999 B'], [1_000, '1.0 kB'], [9_960, '10.0 kB'], [12_345, '12 kB'], [999_600, '1.0 MB'], [52_428_800, '52 MB'], [3e15, '3000 TB']])('%d bytes are %s', (bytes, words) => {
  expect(bytesInWords(bytes)).toBe(words);
});

test.each([[null, 'never'], ['2026-01-01T00:00:05Z', '0 s ago'], ['2025-12-31T23:59:30Z', '30 s ago'], ['2025-12-31T23:00:00Z', '60 min ago'], ['2025-12-31T00:00:00Z', '24 h ago'], ['2025-12-01T00:00:00Z', '31 days ago']])('%s is %s', (time, words) => {
  expect(ageInWords(time, new Date('2026-01-01T00:00:00Z'))).toBe(words);
});

test('a slip of the fingers is near, another word is not', () => {
  expect(nearestName('aap', ['app', 'web'])).toBe('app');
  expect(nearestName('statsu', ['status'])).toBe('status');
  expect(nearestName('kitchen', ['app', 'web'])).toBeUndefined();
  expect(nearestName('x', [])).toBeUndefined();
});
