import { execFileSync } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A real git repository in a temporary folder. */
export interface Repository {
  readonly dir: string;
  git(...args: readonly string[]): string;
  /** Bytes in, bytes out. */
  gitBytes(args: readonly string[], input?: Buffer): Buffer;
  /**
   * Commits a tree made of these entries, parent HEAD of the branch or none, without touching a work tree: any name, any mode.
   * Returns the commit.
   */
  commit(branch: string, entries: readonly Entry[], options?: { parent?: string | null; message?: string }): string;
}

export interface Entry { readonly path: Buffer | string; readonly mode?: string; readonly content?: Buffer | string; readonly id?: string }

/** In the folder of the run, which global-teardown.ts removes. */
export async function makeRepository({ objectFormat = 'sha1' }: { objectFormat?: string } = {}): Promise<Repository> {
  const dir = await mkdtemp(path.join(process.env['TEKAI_TEST_REPOSITORIES'] ?? tmpdir(), 'tekai-repo-'));
  const env = {
    ...process.env, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'Ann', GIT_AUTHOR_EMAIL: 'ann@example.com', GIT_COMMITTER_NAME: 'Ann', GIT_COMMITTER_EMAIL: 'ann@example.com',
  };
  const gitBytes = (args: readonly string[], input?: Buffer) => execFileSync('git', args, { cwd: dir, env, maxBuffer: 1 << 30, stdio: ['pipe', 'pipe', 'pipe'], ...(input === undefined ? {} : { input }) });
  const git = (...args: readonly string[]) => gitBytes(args).toString('utf8').trim();
  git('init', '-q', '-b', 'main', `--object-format=${objectFormat}`);

  return {
    dir, git, gitBytes,
    commit(branch, entries, { parent, message = 'change' } = {}) {
      const ref = `refs/heads/${branch}`;
      const before = parent === undefined ? tryGit(() => git('rev-parse', '--verify', '-q', ref)) : parent;
      // One fast-import for everything: 100,000 files in a second, and paths are bytes.
      const pieces: Buffer[] = [];
      const write = (text: string) => pieces.push(Buffer.from(text));
      write(`commit ${ref}\ncommitter Ann <ann@example.com> ${1_700_000_000 + (counter += 1)} +0000\ndata ${Buffer.byteLength(message)}\n${message}\n`);
      if (before !== null && before !== undefined) write(`from ${before}\n`);
      if (parent === null) write('deleteall\n');
      for (const entry of entries) {
        const bytes = Buffer.from(entry.path);
        if (entry.content === undefined && entry.id === undefined) { pieces.push(Buffer.from('D '), quote(bytes), Buffer.from('\n')); continue; }
        pieces.push(Buffer.from(`M ${entry.mode ?? '100644'} ${entry.id ?? 'inline'} `), quote(bytes), Buffer.from('\n'));
        if (entry.id === undefined) {
          const content = Buffer.from(entry.content ?? '');
          pieces.push(Buffer.from(`data ${content.length}\n`), content, Buffer.from('\n'));
        }
      }
      gitBytes(['fast-import', '--quiet', '--force'], Buffer.concat(pieces));
      return git('rev-parse', ref);
    },
  };
}

let counter = 0;

function tryGit(step: () => string): string | undefined {
  try {
    return step();
  } catch {
    return undefined;
  }
}

/** As fast-import wants a path of any bytes: C style. */
function quote(path: Buffer): Buffer {
  const text = [...path].map((byte) => (byte === 0x22 || byte === 0x5c || byte < 0x20 || byte > 0x7e ? `\\${byte.toString(8).padStart(3, '0')}` : String.fromCharCode(byte))).join('');
  return Buffer.from(`"${text}"`);
}
