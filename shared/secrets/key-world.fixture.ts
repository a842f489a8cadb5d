import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pool } from 'pg';
import { migrate } from '#shared/postgres/migrate.ts';
import { migrationsDirectory } from '#shared/postgres/migrations-directory.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { freshDatabase } from '../../tests/harness/postgres.ts';
import { holdKeys, type ToldKeys } from './held-keys.ts';
import { createPostgresSecretKeys } from './postgres-secret-keys.ts';
import { createPostgresSecretVault } from './postgres-secret-vault.ts';
import { rotateKey, type Rotated } from './rotate-key.ts';
import type { RotationPhase } from './rotation-phase.ts';
import type { KeyChange, SecretKeys } from './secret-keys.ts';
import type { SecretVault } from './secret-vault.ts';

/** A process with a vault. */
export interface VaultProcess { readonly host: string; readonly held: ToldKeys; readonly vault: SecretVault }

export interface KeyWorld {
  readonly pool: Pool;
  readonly keys: SecretKeys;
  /** The folder of a host's key file. */
  host(name: string): string;
  start(host: string): Promise<VaultProcess>;
  /** As if it had been silent for a minute. */
  forgetDead(process: VaultProcess): Promise<void>;
  copyKeys(from: string, to: string): Promise<void>;
  keysOn(host: string): Promise<string[]>;
  /** Runs the command there, until it would wait; killed before its n-th step, where one is given. */
  rotate(host: string, options?: { readonly killedAt?: number }): Promise<Rotated | 'waits' | 'killed'>;
  readonly phases: RotationPhase[];
  /** Everything that is in the database about secrets, and no host's files. */
  empty(): Promise<void>;
  close(): Promise<void>;
}

export class Killed extends Error {}

/** One database, and hosts whose processes share nothing else. */
export async function openKeyWorld(): Promise<KeyWorld> {
  const database = await freshDatabase();
  await migrate({ url: database.url, owners: [{ name: 'secrets', directory: migrationsDirectory(import.meta.url) }] });
  const pool = createPool(database.url, { connectionsMax: 8, applicationName: 'secret-keys-test' });
  const keys = createPostgresSecretKeys({ pool });
  const folder = await mkdtemp(join(tmpdir(), 'tekai-keys-'));
  let round = 0;
  const host = (name: string) => join(folder, String(round), name);
  const phases: RotationPhase[] = [];
  // However slow the machine is: nobody is silent for a minute here who was not said to be.
  const living: SecretKeys = {
    ...keys,
    tell: async (holder, told) => {
      await keys.tell(holder, told);
      await pool.query(`update secret_key_holders set seen_at = 'infinity' where holder = $1`, [holder]);
    },
  };

  return {
    pool, keys, host, phases,
    async start(name) {
      const held = await holdKeys({ directory: host(name), keys: living, process: `${name} ${phases.length}` });
      return { host: name, held, vault: createPostgresSecretVault({ pool, keys: held }) };
    },
    forgetDead: (process) => process.held.stop(),
    async copyKeys(from, to) {
      await mkdir(host(to), { recursive: true });
      await copyFile(join(host(from), 'secrets.key'), join(host(to), 'secrets.key'));
    },
    keysOn: async (name) => (await readFile(join(host(name), 'secrets.key'), 'utf8').catch(() => '')).split('\n').filter((line) => line !== ''),
    async rotate(name, { killedAt } = {}) {
      const waiting = new AbortController();
      try {
        return await rotateKey({ directory: host(name), keys: killedAt === undefined ? keys : killable(keys, killedAt), onPhase: (phase) => phases.push(phase), sleep: async () => waiting.abort() }, waiting.signal);
      } catch (error) {
        if (error instanceof Killed) return 'killed';
        if (waiting.signal.aborted) return 'waits';
        throw error;
      }
    },
    async empty() {
      await pool.query('truncate secrets, secret_keys, secret_key_holders');
      phases.length = 0;
      round += 1;
    },
    async close() {
      await pool.end();
      await database.drop();
      await rm(folder, { recursive: true });
    },
  };
}

/** Dies before the n-th step that it makes in the store, or before it says that what it did together is done. */
export function killable(keys: SecretKeys, killedAt: number): SecretKeys {
  let steps = 0;
  const step = () => {
    steps += 1;
    if (steps >= killedAt) throw new Killed();
  };
  const dying = <T extends object>(what: T): T => Object.fromEntries(Object.entries(what).map(([name, act]) => [name, async (...given: unknown[]) => { step(); return (act as (...given: unknown[]) => unknown)(...given); }])) as T;
  return {
    ...dying(keys),
    exclusively: async (work) => {
      step();
      return keys.exclusively(async (change) => {
        const done = await work(dying<KeyChange>(change));
        step();
        return done;
      });
    },
  };
}
