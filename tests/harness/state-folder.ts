import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A new folder that every account may pass through (mkdtemp makes it mode 700), and a state folder's name in it. */
export async function stateFolder(): Promise<{ parent: string; stateDir: string }> {
  const parent = await mkdtemp(join(tmpdir(), 'tekai-test-state-'));
  await chmod(parent, 0o755);
  return { parent, stateDir: join(parent, 'state') };
}

/** Ends the server that a test may have left on a folder below `parent`, and removes the folder. */
export async function removeStateFolder(parent: string, home: string = join(parent, 'state', 'postgres')): Promise<void> {
  const data = join(home, 'cluster', 'data');
  const [pid, where] = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  if (pid && where === data && command.includes(data)) process.kill(Number(pid), 'SIGQUIT');
  await rm(parent, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}
