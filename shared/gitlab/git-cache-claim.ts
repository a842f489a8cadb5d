import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '#shared/runtime/make-folder.ts';
import { diskFault } from './git-cache.ts';

/**
 * The folder of a codebase's cache as this process has it; what another process had becomes ours, by renaming it. A process that
 * was stopped while another took its work over finds its folder gone when it goes on: whatever it still does to its cache fails,
 * or happens in a folder of its own, which goes with the next claim.
 */
export async function claimCache(folder: string, owner: string): Promise<string> {
  const own = join(folder, owner);
  try {
    await makeFolder(folder);
    const names = await readdir(folder);
    const others = names.filter((name) => name !== owner);
    const taken = names.includes(owner) ? undefined : others.shift();
    if (taken !== undefined) await rename(join(folder, taken), own);
    await Promise.all(others.map((name) => rm(join(folder, name), { recursive: true, force: true, maxRetries: 5 })));
  } catch (cause) {
    throw diskFault(cause);
  }
  return own;
}
