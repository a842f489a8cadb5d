import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * The folder and those above it, as `mkdir -p` makes them; the topmost that was made, undefined when it was there.
 * Node's own says "no such file" of a file system that is read-only, and of others that take no folder: here it is what the system says.
 */
export async function makeFolder(path: string, { mode = 0o777 }: { readonly mode?: number } = {}): Promise<string | undefined> {
  try {
    return await mkdir(path, { recursive: true, mode });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await mkdir(await topmostMissing(path), { mode }).catch((said: NodeJS.ErrnoException) => { if (said.code !== 'EEXIST') throw said; });
    return mkdir(path, { recursive: true, mode });
  }
}

async function topmostMissing(path: string): Promise<string> {
  const above = dirname(path);
  const isThere = await stat(above).then(() => true, () => false);
  return isThere || above === path ? path : topmostMissing(above);
}
