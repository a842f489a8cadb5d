import { execFileSync } from 'node:child_process';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** What a process of its own writes to its stdout when it logs this (a JavaScript expression). */
function linesOf(...values: string[]): string[] {
  const program = `import { createLogger } from ${JSON.stringify(path.join(ROOT, 'shared/runtime/logger.ts'))};
    const logger = createLogger('info', { service: 'x' });
    ${values.map((value) => `logger.info(${value}, 'said');`).join('\n')}`;
  return execFileSync(process.execPath, ['--conditions=source', '--import', path.join(ROOT, 'tests/harness/ts-loader.mjs'), '--input-type=module', '-e', program], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');
}

test('what looks like a secret by its name is left out, wherever it hangs and however it is written', () => {
  const secret = `'canary'`;
  const lines = linesOf(
    `{ token: ${secret}, password: ${secret}, secret: ${secret} }`,
    `{ source: { token: ${secret}, signingToken: ${secret}, webhookToken: ${secret}, caPem: ${secret} } }`,
    `{ a: { b: { token: ${secret} } } }`,
    `{ a: { b: { c: { d: { token: ${secret} } } } } }`,
    `{ list: [{ token: ${secret} }] }`,
    `{ headers: { 'x-gitlab-token': ${secret}, 'private-token': ${secret}, authorization: ${secret} } }`,
    `{ headers: { 'X-Gitlab-Token': ${secret}, 'PRIVATE-TOKEN': ${secret}, Authorization: ${secret}, cookie: ${secret} } }`,
  );
  expect(lines.filter((line) => line.includes('canary'))).toEqual([]);
  expect(lines).toHaveLength(7);
  for (const line of lines) expect(line).toContain('[hidden]');
});

test('an error is its name, message, stack and cause, and not what else it carries', () => {
  const [line = ''] = linesOf(`{ error: Object.assign(new TypeError('broken', { cause: new Error('deeper') }), { request: { headers: { x: 'canary' } } }) }`);
  expect(JSON.parse(line).error).toEqual({ name: 'TypeError', message: 'broken', stack: expect.stringContaining('broken'), cause: 'Error: deeper' });
  expect(line).not.toContain('canary');
});

test('a line is JSON, with the time, the bindings and the message; what is no secret is there', () => {
  const [line = ''] = linesOf(`{ key: 'k', afterMs: 5, nested: { reason: 'r' }, list: [1, { a: null }], error: 'no error' }`);
  expect(JSON.parse(line)).toMatchObject({ level: 30, service: 'x', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/), msg: 'said', key: 'k', afterMs: 5, nested: { reason: 'r' }, list: [1, { a: null }], error: 'no error' });
});
