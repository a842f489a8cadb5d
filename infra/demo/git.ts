import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { DemoFailed } from './demo-failed.ts';

const execute = promisify(execFile);

/** A clone of a large repository takes its time. */
const GIT_MS_MAX = 600_000;

export type Git = (words: readonly string[], options?: { cwd?: string; env?: Record<string, string> }) => Promise<string>;

/** git without the machine's own settings: no signing, no hooks, no other transport; and for folders of any owner, as in a container. */
export function createGit(folder: string): Git {
  const config = path.join(folder, 'gitconfig');
  writeFileSync(config, '[user]\n\tname = TekAI demo\n\temail = demo@tekai.example\n[safe]\n\tdirectory = *\n[gc]\n\tauto = 0\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n');
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_')));
  return async (words, { cwd = folder, env = {} } = {}) => {
    try {
      const { stdout } = await execute('git', [...words], {
        cwd, timeout: GIT_MS_MAX, maxBuffer: 16 * 1_048_576,
        env: { ...clean, GIT_CONFIG_GLOBAL: config, GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0', LC_ALL: 'C', ...env },
      });
      return stdout.trim();
    } catch (error) {
      const { stderr = '', message } = error as Error & { stderr?: string };
      throw new DemoFailed(`git ${words[0]} in ${cwd} failed: ${(stderr.trim() || message).slice(0, 2_000)}`);
    }
  };
}

/** Credentials by the environment: a command line can be read by everybody on the machine. */
export function asUser(token: string): Record<string, string> {
  return {
    GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'http.extraHeader',
    GIT_CONFIG_VALUE_0: `Authorization: Basic ${Buffer.from(`root:${token}`).toString('base64')}`,
  };
}
