import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { refName, type ObjectId } from '#schemas/brand.ts';
import { createGitCliTransport } from '#shared/gitlab/git-cli-transport.ts';
import { newCodebase, objectsOf, readWhole } from '#shared/gitlab/git-transport.contract.ts';
import { createGitbeakerOpener } from '#shared/gitlab/gitbeaker-gitlab.ts';
import type { Answer, GitLabProject } from '#shared/gitlab/gitlab.ts';
import { parseCommit } from '#shared/objects/git-commit.ts';
import { parseTree } from '#shared/objects/git-tree.ts';
import { THIS_MACHINE } from '../harness/this-machine.ts';
import { accessOf, targetFromEnvironment } from './target.ts';

// What can be tried with a token that may only read. Run by tests/gitlab/run.ts with READ_ONLY=1 and PROJECT.
const target = targetFromEnvironment(process.env);
const access = accessOf(target);
const api = createGitbeakerOpener({ addresses: THIS_MACHINE })(access);
const folder = mkdtempSync(join(tmpdir(), 'tekai-read-only-'));
let project: GitLabProject;
let head: ObjectId;

/** Of a large repository so many objects are enough. */
const OBJECTS_READ_MAX = 2_000;

beforeAll(async () => {
  project = valueOf(await api.project(process.env['PROJECT'] ?? ''));
  head = valueOf(await api.head(project.id, refName.parse(`refs/heads/${project.defaultBranch ?? ''}`))).commit;
});
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

describe('read only', () => {
  test('the version is told', async () => {
    expect(valueOf(await api.version())).toMatch(/^\d+\.\d+/);
  });

  test('a project is the same by id and by path', async () => {
    expect(valueOf(await api.project(project.id))).toEqual(project);
  });

  test('the default branch is among the heads, and its commit is there', async () => {
    expect(valueOf(await api.heads(project.id, { withTags: true }))).toEqual(expect.arrayContaining([{ ref: `refs/heads/${project.defaultBranch ?? ''}`, commit: head }]));
    expect(valueOf(await api.hasCommit(project.id, head))).toBe(true);
  });

  test('what is not there is absent', async () => {
    expect(await api.head(project.id, refName.parse('refs/heads/tekai/no/such/branch'))).toMatchObject({ kind: 'absent' });
  });

  test.each([false, true])('git gives the commit and what is below it, byte for byte (all at once: %s)', async (isWhole) => {
    const transport = createGitCliTransport({ directory: join(folder, String(isWhole)), owner: 'test', addresses: THIS_MACHINE });
    const objects = objectsOf(await transport.open({ codebaseId: newCodebase(), access, url: project.httpUrl, objectFormat: project.objectFormat, commit: head, parents: [], signal: new AbortController().signal }));
    try {
      if (isWhole) await objects.bringAll();
      let read = 0;
      for (let level: ObjectId[] = [head]; level.length > 0 && read < OBJECTS_READ_MAX;) {
        const found = await readWhole(objects, level.slice(0, OBJECTS_READ_MAX - read), project.objectFormat);
        read += found.length;
        level = [...new Set(found.flatMap((object) => below(object, project.objectFormat)))];
      }
      expect(read).toBeGreaterThan(1);
    } finally {
      await objects.close();
    }
  });
});

function below({ kind, content }: { kind: string; content: unknown }, format: GitLabProject['objectFormat']): ObjectId[] {
  if (!Buffer.isBuffer(content)) return [];
  const root = kind === 'commit' ? parseCommit(content).tree : undefined;
  if (root !== undefined) return [root];
  return kind === 'tree' ? [...parseTree(content, format)].filter((entry) => entry.mode !== '160000').map((entry) => entry.id) : [];
}

function valueOf<T>(answer: Answer<T>): T {
  if (answer.kind !== 'ok') throw new Error(`expected an answer, got ${answer.kind}: ${answer.detail}`);
  return answer.value;
}
