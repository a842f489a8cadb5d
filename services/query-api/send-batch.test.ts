import { PassThrough } from 'node:stream';
import type { Response } from 'express';
import type { ObjectId } from '#schemas/brand.ts';
import type { BatchLine } from '#schemas/api/batch.ts';
import { makeRepository } from '#tests/harness/repository.ts';
import { at, codebaseView, versionView } from './query-api-world.fixture.ts';
import type { Resolved } from './resolve-version.ts';
import { sendBatch } from './send-batch.ts';
import { storedObjects } from './stored-repository.fixture.ts';
import { createTreeCache } from './tree-cache.ts';

const MEBIBYTE = 1_048_576;

test('an answer holds 64 MiB of files at most: what is behind is named, in order, and nothing of it is told', async () => {
  const repository = await makeRepository();
  const commit = repository.commit('main', [{ path: 'large', content: Buffer.alloc(MEBIBYTE, 'x') }, { path: 'small', content: 'y' }, { path: 'larger', content: Buffer.alloc(MEBIBYTE + 1, 'z') }], { parent: null });
  const reader = await storedObjects(repository);
  const sizes = new Map(['large', 'small', 'larger'].map((path) => { const id = repository.git('rev-parse', `${commit}:${path}`) as ObjectId; return [id, { bytes: Number(repository.git('cat-file', '-s', id)), finding: null }]; }));
  const tree = repository.git('rev-parse', `${commit}^{tree}`) as ObjectId;
  const resolved: Resolved = { codebase: codebaseView(), version: { ...versionView(1), commit: commit as ObjectId, tree, position: at(1) }, refsUnderWay: new Set(), isParked: false };
  // A file that is too large by itself is a line of its own, and takes no room.
  const paths = ['larger', ...Array.from({ length: 64 }, () => 'large'), 'small', 'large'];

  const response = Object.assign(new PassThrough(), { status: () => response, set: () => response }) as PassThrough & { status(): unknown; set(): unknown };
  const sending = sendBatch({ reader, trees: createTreeCache(reader), index: { findings: async () => sizes as never }, epoch: 'e' }, { response: response as unknown as Response, resolved, batch: { paths } as never, signal: new AbortController().signal });
  const lines: BatchLine[] = [];
  let rest = '';
  for await (const piece of response) {
    rest += String(piece);
    const whole = rest.split('\n');
    rest = whole.pop() ?? '';
    // The contents are not kept: they are a hundred megabytes.
    lines.push(...whole.map((line) => JSON.parse(line, (key, value: unknown) => (key === 'contentBase64' ? undefined : value)) as BatchLine));
  }
  await sending;
  expect(lines.map(({ kind }) => kind)).toEqual(['receipt', 'problem', ...Array.from({ length: 64 }, () => 'file'), 'end']);
  expect(lines.at(-1)).toEqual({ kind: 'end', told: 65, omitted: [{ path: 'small' }, { path: 'large' }] });
});
