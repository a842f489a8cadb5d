import { LEVELS, POLICY } from '#shared/access/policy.ts';
import { shownRoute } from '#shared/runtime/allowed-methods.ts';
import { isTest, read, sources } from './source-files.ts';

// Who may ask where stands in one table. That an engine serves nothing else is mustBeDeclared's, at its start.

const served = sources().filter((file) => file.startsWith('services/') && !isTest(file)).flatMap((file) => [
  ...[...read(file).matchAll(/\brout(?:er|es)\.(get|post|put|patch|delete)\('([^']+)'/g)].map(([, method = '', path = '']) => `${method.toUpperCase()} ${path}`),
  ...[...read(file).matchAll(/'((?:GET|POST|PUT|PATCH|DELETE) \/[^'{]*)'/g)].map(([, route = '']) => route),
  ...[...read(file).matchAll(/onUpgrade\('([^']+)'/g)].map(([, path = '']) => `WS ${path}`),
]);

test('every address that the code serves has an entry, and every entry is served', () => {
  expect([...new Set(served)].sort()).toEqual(Object.keys(POLICY).sort());
});

test('docs/api.md says of every address who may', () => {
  const [, table = ''] = read('docs/api.md').split('## Every route');
  const told = table.split('\n').filter((line) => line.startsWith('| `')).flatMap((line) => {
    const cells = line.split(/(?<!\\)\|/);
    const who = (cells.at(-2) ?? '').trim().split(', ');
    return [...(cells[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, route = ''], index) => [route, who[index] ?? who[0]]);
  });
  const said = Object.entries(POLICY).map(([route, { level }]) => [shownRoute(route), route.includes('/webhooks/gitlab/') ? 'secret' : level.replace('-', ' ')]);
  expect(told.sort()).toEqual(said.sort());
  expect(LEVELS.filter((level) => !table.includes(`**${level.replace('-', ' ')}**`))).toEqual([]);
});
