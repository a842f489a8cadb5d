import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { makeRepository, type Repository } from '../harness/repository.ts';
import type { System } from '../harness/system.ts';
import type { Chance } from './drill.ts';

const run = promisify(execFile);
const BRANCHES = ['main', 'side', 'topic/a'];

export interface Followed {
  readonly repository: Repository;
  readonly codebase: string;
  readonly project: number;
  /** What GitLab has now, by branch. */
  readonly heads: Map<string, string>;
}

/** Codebases of a dozen small files each unless told otherwise (at the end each of them is read, of every branch), registered and hooked. `name` must differ from other fleets of one system. */
export async function followFleet(system: System, { count, name = 'drilled', files = 12 }: { readonly count: number; readonly name?: string; readonly files?: number }): Promise<Followed[]> {
  const fleet: Followed[] = [];
  for (let n = 0; n < count; n += 1) {
    const repository = await makeRepository();
    const head = repository.commit('main', Array.from({ length: files }, (_, file) => ({ path: `d${file % 5}/f${file}`, content: `${name} ${n} ${file}\n` })));
    const project = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: `${name}-${n}`, import: repository.dir });
    repository.git('remote', 'add', 'origin', system.gitlab.remote(`root/${name}-${n}`));
    fleet.push({ repository, project: project.id, codebase: await system.follow(project.id), heads: new Map([['main', head]]) });
  }
  return fleet;
}

/** One push to one of them: ordinary, a new branch, a rewritten or a deleted one. Asynchronous, so that a fault can fall into it. */
export async function pushSomething(fleet: readonly Followed[], { random, below, oneOf }: Chance): Promise<void> {
  const { repository, heads } = oneOf(fleet);
  const branch = oneOf(BRANCHES);
  const before = heads.get(branch);
  const isDeletion = branch !== 'main' && before !== undefined && random() < 0.25;
  if (isDeletion) heads.delete(branch);
  // A rewritten branch begins again at main's head.
  else heads.set(branch, repository.commit(branch, [{ path: `d${below(5)}/pushed`, content: `${random()}\n` }], { parent: (random() < 0.3 ? undefined : before) ?? heads.get('main')! }));
  await run('git', ['push', '-q', 'origin', isDeletion ? `:refs/heads/${branch}` : `+refs/heads/${branch}`], { cwd: repository.dir });
}
