import { createApiClient } from './api-client.ts';
import { CODEBASE_ID, receiptAnswer, scriptedEngine, TOKEN, TREE, type ScriptedEngine } from './scripted-engine.fixture.ts';

let engine: ScriptedEngine;
beforeEach(async () => { engine = await scriptedEngine(); });
afterEach(() => engine.stop());

const client = () => createApiClient({ url: engine.url, token: TOKEN });
const receipt = { kind: 'receipt', receipt: receiptAnswer() };
const file = { kind: 'file', path: '日', type: 'file', mode: '100644', id: TREE, bytes: 0, contentBase64: '' };

async function batch(pieces: readonly Buffer[]): Promise<{ kinds: string[]; error: unknown }> {
  engine.answerBy(`POST /v1/codebases/${CODEBASE_ID}/files:batch`, (_, response) => { for (const piece of pieces) response.write(piece); response.end(); });
  const kinds: string[] = [];
  try {
    for await (const line of client().filesBatch(CODEBASE_ID, ['日'])) kinds.push(line.kind === 'file' ? line.path : line.kind);
    return { kinds, error: undefined };
  } catch (error) {
    return { kinds, error };
  }
}

test('a batch is read line by line, wherever the pieces are cut', async () => {
  const whole = Buffer.from([receipt, file, { kind: 'end', told: 1, omitted: [] }].map((line) => `${JSON.stringify(line)}\n`).join(''));
  const pieces = Array.from({ length: Math.ceil(whole.length / 5) }, (_, n) => whole.subarray(n * 5, n * 5 + 5));
  expect(await batch(pieces)).toEqual({ kinds: ['receipt', '日', 'end'], error: undefined });
  expect(JSON.parse(engine.asked[0]!.body)).toEqual({ paths: ['日'] });
});

test('a batch without its last line is an error behind what came', async () => {
  const { kinds, error } = await batch([Buffer.from(`${JSON.stringify(receipt)}\n${JSON.stringify(file)}\n`)]);
  expect(kinds).toEqual(['receipt', '日']);
  expect(error).toMatchObject({ name: 'UnexpectedAnswer', message: expect.stringContaining('broke off') as string });
});

test('paths of any bytes go into the query, and a blob is named without its content', async () => {
  engine.answer(`GET /v1/codebases/${CODEBASE_ID}/archive?pathHex=e9&at=x`, Buffer.from('tar'), { headers: { 'x-tekai-ref': 'refs/heads/f%C3%A9' } });
  expect((await client().archive(CODEBASE_ID, { path: { hex: 'e9' }, at: 'x' })).ref).toBe('refs/heads/fé');
  engine.answer(`GET /v1/codebases/${CODEBASE_ID}/files/a%20b`, Buffer.from('x'), { headers: { etag: `W/"${TREE}"` } });
  expect(await client().blobAt(CODEBASE_ID, 'a b')).toBe(TREE);
});
