import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { admin, type World } from './world.ts';

export interface Seeded {
  readonly project: number;
  readonly path: string;
  /** Oldest first. All are in GitLab; `main` stands at the first. */
  readonly commits: readonly string[];
}

/**
 * A project of so many files, no two alike, here or elsewhere, with commits of one changed file each, which GitLab has and no
 * ref names: a push is then but a ref that moves, and costs the machine no `git push`. One fast-import: by hand it takes minutes.
 */
export async function seedProject(world: World, { name, files, changes, folders = Math.ceil(files / 100) }: { readonly name: string; readonly files: number; readonly changes: number; readonly folders?: number }): Promise<Seeded> {
  const repository = path.join(world.folder, `${name}.git`);
  const git = (args: readonly string[], input?: Buffer) => execFileSync('git', ['--git-dir', repository, ...args], { maxBuffer: 2 ** 28, ...(input === undefined ? {} : { input }) }).toString().trim();
  execFileSync('git', ['init', '-q', '--bare', '-b', 'main', repository]);
  const entry = (n: number, word: string) => { const content = `export const ${word}${n} = '${name}';\n`.repeat(1 + n % 40); return `M 100644 inline src/d${n % folders}/f${n}.ts\ndata ${content.length}\n${content}\n`; };
  const pieces = [commitLine(0), ...Array.from({ length: files }, (_, n) => entry(n, 'value'))];
  for (let change = 1; change <= changes; change += 1) pieces.push(commitLine(change), entry((change * 7_919) % files, `changed${change}_`));
  git(['fast-import', '--quiet'], Buffer.from(pieces.join('')));
  const commits = git(['rev-list', '--reverse', 'refs/heads/main']).split('\n');
  const made = await admin<{ id: number; path_with_namespace: string }>(world, 'POST', '/projects', { path: name, import: repository });
  await admin(world, 'POST', `/projects/${made.id}/refs`, { ref: 'refs/heads/main', sha: commits[0], hooks: false });
  return { project: made.id, path: made.path_with_namespace, commits };
}

const commitLine = (n: number) => `commit refs/heads/main\ncommitter Ann <ann@example.com> ${1_700_000_000 + n} +0000\ndata 1\nx\n`;
