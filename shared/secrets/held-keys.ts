import { randomUUID } from 'node:crypto';
import { withDeadline } from '#shared/runtime/deadline.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { keyFileOf, loadOrCreateKeys, readKeys } from './key-file.ts';
import { createSecretCipher, digestKeyOf, keyIdOf, type SecretCipher } from './secret-cipher.ts';
import type { KeyRecord, SecretKeys } from './secret-keys.ts';
import { SecretUnreadable } from './secret-unreadable.ts';
import type { SecretName } from './secret-vault.ts';

/** The key of digests, in hex, once the first key of the vault is not the only one it ever had. */
export const DIGEST_KEY: SecretName = 'vault/digest-key';
/** A new key in the file is taken up within it, and told of. */
const LOOK_EVERY_MS = 10_000;
const STOP_MS_MAX = 2_000;

/** The keys of the key file, as this process has them now. */
export interface HeldKeys {
  ids(): readonly string[];
  /** Looks into the file again for a key that it does not have. @throws SecretUnreadable that says which is missing, and where */
  cipher(keyId: string): Promise<SecretCipher>;
  /** Never changes, whichever key enciphers. */
  readonly digestKey: Buffer;
}

export interface HoldKeysDeps {
  readonly directory: string;
  readonly keys: SecretKeys;
  /** Of this process, for people: host and process id. */
  readonly process: string;
}

export interface ToldKeys extends HeldKeys {
  /** Looks into the file again, tells what it has, and says what is wrong. Of the keys held, those that something needs are kept, whatever the file has. @throws KeyFileRefused | Unavailable */
  look(): Promise<string | undefined>;
  /** Does so every ten seconds from now on. */
  watch(deps: WatchDeps): void;
  stop(): Promise<void>;
}

export interface WatchDeps { readonly logger: Logger; sleep(ms: number, signal: AbortSignal): Promise<void> }

/**
 * Reads the file, or makes it where there never was one, and tells of it before it looks at what is needed: so no other key
 * becomes the current one between the two unseen. @throws SecretUnreadable | KeyFileRefused | Unavailable
 */
export async function holdKeys({ directory, keys, process }: HoldKeysDeps): Promise<ToldKeys> {
  const before = await keys.read();
  const loaded = await loadOrCreateKeys(directory, { keyIdsInUse: async () => idsInUse(before) });
  const loadedIds = loaded.map(keyIdOf);
  const first = loadedIds.find((id) => before.secrets.has(id)) ?? loadedIds[0]!;
  const ring = ringOf(directory, loaded);
  const holder = randomUUID();
  const tell = (keyIds: readonly string[]) => keys.tell(holder, { process, keyIds, first });
  await tell(loadedIds);
  const digestKey = await openDigestKey(ring, keys).catch(async (error: unknown) => {
    await keys.forget(holder);
    throw error;
  });
  const stopping = new AbortController();
  let watching: Promise<void> = Promise.resolve();
  const look = async () => {
    const inFile = await ring.look();
    // A change of keys waits for what the file has. Told first, let go after it: none is let go that became the current one before.
    await tell(inFile);
    const record = await keys.read();
    // A wrong file stops a start, and nobody who runs.
    ring.keepOnly([...inFile, ...idsInUse(record)]);
    const lacking = lackingOf(inFile, record);
    return lacking.length === 0 ? undefined : missing(directory, { has: inFile, lacks: lacking });
  };

  return {
    ids: ring.ids, cipher: ring.cipher, digestKey, look,
    watch: (deps) => { watching = lookAgainAndAgain(look, { ...deps, signal: stopping.signal }); },
    async stop() {
      stopping.abort();
      // Where the database is away or silent it is forgotten by itself, within a minute.
      await withDeadline(watching.then(() => keys.forget(holder)), { ms: STOP_MS_MAX, dependency: 'secret vault' }).catch(() => undefined);
    },
  };
}

/** Beside an engine, or without one: tells nobody, and makes no file. @throws SecretUnreadable | KeyFileRefused | Unavailable */
export async function readHeldKeys({ directory, keys }: Pick<HoldKeysDeps, 'directory' | 'keys'>): Promise<HeldKeys> {
  const ring = ringOf(directory, await readKeys(directory) ?? []);
  return { ids: ring.ids, cipher: ring.cipher, digestKey: await openDigestKey(ring, keys) };
}

/** Of what a process must have now: the key that enciphers, and those that enciphered what is there. Keys that nobody told of are not missed. */
export function lackingOf(ids: readonly string[], { keys, secrets }: KeyRecord): readonly string[] {
  return keys.filter(({ id, state }) => !ids.includes(id) && (state === 'current' || secrets.has(id))).map(({ id }) => id);
}

/** Which keys the vault wants, of its secrets also those that nobody told of. */
function idsInUse({ keys, secrets }: KeyRecord): readonly string[] {
  return [...new Set([...secrets.keys(), ...keys.filter(({ state }) => state === 'current').map(({ id }) => id)])].sort();
}

type Ring = ReturnType<typeof ringOf>;

function ringOf(directory: string, loaded: readonly Buffer[]) {
  let held = byId(loaded);
  const ids = () => [...held.keys()];
  /** Takes up what is in the file, and says what that is: a file that is away for a moment is as it was. */
  const look = async () => {
    const found = await readKeys(directory);
    if (found === undefined) return ids();
    held = new Map([...held, ...byId(found)]);
    return found.map(keyIdOf);
  };
  const keepOnly = (kept: readonly string[]) => { held = new Map([...held].filter(([id]) => kept.includes(id))); };
  const find = async (keyId: string) => {
    const has = held.has(keyId) ? ids() : await look();
    const found = held.get(keyId);
    if (found === undefined) throw new SecretUnreadable(missing(directory, { has, lacks: [keyId] }));
    return found;
  };
  return { ids, look, keepOnly, key: async (keyId: string) => (await find(keyId)).key, cipher: async (keyId: string) => (await find(keyId)).cipher };
}

const byId = (keys: readonly Buffer[]) => new Map(keys.map((key) => [keyIdOf(key), { key, cipher: createSecretCipher(key) }]));

const missing = (directory: string, { has, lacks }: { readonly has: readonly string[]; readonly lacks: readonly string[] }) =>
  `${keyFileOf(directory)} has key ${has.join(', ') || '(none)'} and lacks key ${lacks.join(', ')}, which secrets of this database are enciphered with: copy the file from where "tekai secrets rotate-key" was run, or bring it back from the backup that belongs to this database`;

/** The record first: where no key of digests was put when it is looked for, the current key that the record names is the first of the vault. */
async function openDigestKey(ring: Ring, keys: SecretKeys): Promise<Buffer> {
  const record = await keys.read();
  for (const id of lackingOf(ring.ids(), record)) await ring.cipher(id);
  const sealed = await keys.secret(DIGEST_KEY);
  if (sealed !== undefined) return Buffer.from((await ring.cipher(sealed.keyId)).open(DIGEST_KEY, sealed), 'hex');
  const current = record.keys.find(({ state }) => state === 'current');
  if (current === undefined) throw new SecretUnreadable('this database has no key yet: start the engine once');
  return digestKeyOf(await ring.key(current.id));
}

/** What is wrong is said once; it may be mended while the process runs. */
async function lookAgainAndAgain(look: ToldKeys['look'], { logger, sleep, signal }: WatchDeps & { readonly signal: AbortSignal }): Promise<void> {
  for (let told: string | undefined; ;) {
    await sleep(LOOK_EVERY_MS, signal);
    if (signal.aborted) return;
    const wrong = await look().catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
    if (wrong !== undefined && wrong !== told) logger.warn({ reason: wrong }, 'the keys of secrets are not as they must be; they are looked at again every ten seconds');
    told = wrong;
  }
}
