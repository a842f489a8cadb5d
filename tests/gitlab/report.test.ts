import { shapeOf, type Shapes } from './probes.ts';
import { differencesOf, reportOf } from './report.ts';

const shape = (status: number, body: unknown, headers: Record<string, string> = {}) => shapeOf({ status, headers, body });
const differences = (real: Shapes['x'], simulated: Shapes['x']) => differencesOf({ asked: real as never }, { asked: simulated as never });

test('a status, a field, a type and a header that differ are said; values and what is left of a limit are not', () => {
  expect(differences(shape(200, { id: 1, name: 'a' }, { 'ratelimit-remaining': '7' }), shape(200, { id: 2, name: 'b' }))).toEqual([]);
  expect(differences(shape(404, { message: 'x' }), shape(403, { error: 'y' }))).toEqual(['- asked\n  - status 404, the simulator 403']);
  expect(differences(shape(200, { id: '1', more: { x: 1 } }, { link: '<x>' }), shape(200, { id: 1, old: true }, { 'x-total': '1' }))).toEqual([
    '- asked\n  - fields only at GitLab: more\n  - fields only at the simulator: old\n  - id is a string, at the simulator a number\n  - headers only at GitLab: link\n  - headers only at the simulator: x-total',
  ]);
});

test('null, and a list that is empty, say nothing of what might be in it', () => {
  expect(differences(shape(200, { owner: { id: 1 }, list: [{ id: 1 }], when: null }), shape(200, { owner: null, list: [], when: '2026' }))).toEqual([]);
  expect(differences(shape(200, [{ id: 1, extra: 1 }]), shape(200, [{ id: 1 }]))).toEqual(['- asked\n  - fields only at GitLab: [].extra']);
});

test('the report says what passed, what failed and why, and what was not tried', () => {
  const text = reportOf({
    url: 'https://gitlab.example.com', version: '18.5.0', mode: 'read and write', at: '2026-11-22', real: { project: shape(200, {}, { 'ratelimit-limit': '2000' }) }, simulated: { project: shape(200, {}) }, remarks: ['All is gone.'],
    tests: [{ name: 'heads', state: 'passed', why: null }, { name: 'hooks', state: 'failed', why: 'Expected 1\nGot 2' }, { name: 'faults', state: 'not tried', why: 'a fault' }],
  });
  for (const words of ['1 tests passed, 1 failed, 1 not tried. 0 differences', '- All is gone.', '- **hooks**\n\n      Expected 1\n      Got 2', 'None.', '- ratelimit-limit: 2000', '- faults: a fault', '- heads']) expect(text).toContain(words);
});
