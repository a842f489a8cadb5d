import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Who owns tables, and where its plain .sql files lie (`migrationsDirectory(import.meta.url)`). */
export type MigrationOwner = { name: string; directory: string };
export type MigrationFile = { name: string; sql: string; sha256: string };
/** What a database has of an owner's migrations. */
export type AppliedMigration = { name: string; sha256: string };

/** Says which migration of whom could not be done, why, and what to do. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';

  constructor({ tried, why, todo, cause }: { tried: string; why: string; todo: string; cause?: unknown }) {
    super(`migrations: could not ${tried}: ${why} What to do: ${todo}`, { cause });
  }
}

const FILE_NAME = /^\d{4}-[a-z0-9-]+\.sql$/;

/** An owner's files in the order in which they are applied: that of their numbers. */
export async function readMigrationFiles({ name: owner, directory }: MigrationOwner): Promise<MigrationFile[]> {
  const tried = `read the migrations of ${owner}`;
  const names = await readdir(directory).catch((cause: unknown) => {
    throw new MigrationError({ tried, why: `${directory} cannot be read.`, todo: 'ship the folder with the package.', cause });
  });
  names.sort();
  for (const [index, name] of names.entries()) {
    if (!FILE_NAME.test(name)) {
      throw new MigrationError({ tried, why: `${join(directory, name)} is not named like 0001-what-it-does.sql.`, todo: 'rename it or move it out.' });
    }
    if (names[index - 1]?.slice(0, 4) === name.slice(0, 4)) {
      throw new MigrationError({ tried, why: `${names[index - 1]} and ${name} have one number.`, todo: 'give the newer one the next number.' });
    }
  }
  return Promise.all(names.map(async (name) => {
    // A checkout on Windows may have other line ends; it is the same migration.
    const sql = (await readFile(join(directory, name), 'utf8')).replaceAll('\r\n', '\n');
    return { name, sql, sha256: createHash('sha256').update(sql).digest('hex') };
  }));
}

/**
 * What is still to be applied; refuses when the files and the database do not tell the same story. What only the database has
 * and is newer than every file is let be: it is there when an older release is started again after an upgrade.
 */
export function decidePending(owner: string, files: readonly MigrationFile[], applied: readonly AppliedMigration[]): MigrationFile[] {
  const tried = `bring the tables of ${owner} up to date`;
  const newestFile = files.at(-1)?.name ?? '';
  for (const { name, sha256 } of applied) {
    const file = files.find((candidate) => candidate.name === name);
    if (!file && name < newestFile) {
      throw new MigrationError({ tried, why: `${name} was applied, and there is no such file any more.`, todo: 'bring the file back as it was.' });
    }
    if (file && file.sha256 !== sha256) {
      throw new MigrationError({
        tried,
        why: `${name} was changed after it had been applied (its SHA-256 was ${sha256.slice(0, 12)}…, it is ${file.sha256.slice(0, 12)}…).`,
        todo: 'bring the file back as it was, and write the change as a new migration.',
      });
    }
  }

  const newestApplied = applied.map(({ name }) => name).sort().at(-1) ?? '';
  const pending = files.filter(({ name }) => !applied.some((done) => done.name === name));
  const late = pending.find(({ name }) => name < newestApplied);
  if (late) {
    throw new MigrationError({ tried, why: `${late.name} is new, but ${newestApplied} has been applied before it.`, todo: 'give it a number after that one.' });
  }
  return pending;
}
