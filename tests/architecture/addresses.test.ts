import { read, sources, isTest } from './source-files.ts';

/** The collection that an address is of: `/v1/codebases/:id/refs` is of `/v1/codebases`. */
const collectionOf = (address: string) => /^\/(?:v1\/)?[a-z-]+/.exec(address)?.[0] ?? address;
const quotedIn = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, address = '']) => address);

test('GET / names every collection that has a route, and none that has not', () => {
  const [, list = ''] = /const ADDRESSES = \[([^]*?)\];/.exec(read('services/health.ts')) ?? [];
  const named = new Set(quotedIn(list, /'(\/[^']*)'/g).map(collectionOf));
  const files = sources().filter((file) => /^services\/(?!cli\/)/.test(file) && !isTest(file));
  const routed = files.flatMap((file) => quotedIn(read(file), /(?:\.(?:get|post|put|patch|delete|onUpgrade)\('|'(?:GET|POST) |case ')(\/[a-z][^' ]*)/g));
  expect([...named].sort()).toEqual([...new Set(routed.map(collectionOf))].sort());
});
