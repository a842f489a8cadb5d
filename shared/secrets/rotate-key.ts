import { DIGEST_KEY, readHeldKeys, type HeldKeys } from './held-keys.ts';
import { addKey, keyFileOf, KeyFileRefused, removeKey } from './key-file.ts';
import { phaseOf, type RotationPhase } from './rotation-phase.ts';
import type { KeyRecord, NamedSecret, SecretKeys } from './secret-keys.ts';
import { SecretUnreadable } from './secret-unreadable.ts';

/** How soon it is seen that the last process has the new key. */
const LOOK_EVERY_MS = 1_000;
const BATCH_SECRETS_MAX = 100;

export interface RotateDeps {
  readonly directory: string;
  readonly keys: SecretKeys;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Told of each phase, and of what it waits for, again and again. */
  onPhase(phase: RotationPhase): void;
}

export interface Rotated {
  readonly record: KeyRecord;
  readonly phase: RotationPhase;
  /** Names of secrets that no key here deciphers. */
  readonly unreadable: readonly string[];
}

/**
 * Has a new key encipher everything, phase by phase, from wherever the last run was stopped or killed; and none at all when the
 * last change is done but for its old key. A key is in the file before anything says that it is, every process has it
 * before it enciphers, and it enciphers everything new before the first secret is enciphered anew.
 * @throws SecretUnreadable | KeyFileRefused | Unavailable
 */
export async function rotateKey(deps: RotateDeps, signal: AbortSignal): Promise<Rotated> {
  const { directory, keys, sleep, onPhase } = deps;
  for (let hasBegun = false; ;) {
    signal.throwIfAborted();
    const record = await keys.read();
    const phase = phaseOf(record);
    if (phase === undefined) throw new SecretUnreadable('this database has no key yet: start the engine once');
    onPhase(phase);
    switch (phase.kind) {
      case 'none':
        // Somebody else has finished it, or given it up: that is no reason to begin another one.
        if (hasBegun) return { record, phase, unreadable: [] };
        await begin({ directory, keys });
        break;
      case 'telling':
        if (phase.lacking.length > 0 || !(await turn(deps, phase.next))) await sleep(LOOK_EVERY_MS, signal);
        break;
      case 'enciphering': {
        const unreadable = await encipherAnew({ held: await readHeldKeys({ directory, keys }), keys, current: phase.current }, signal);
        if (unreadable.length > 0) return { record: await keys.read(), phase, unreadable };
        break;
      }
      case 'done': return { record, phase, unreadable: [] };
      default: phase satisfies never;
    }
    hasBegun = true;
  }
}

export type Dropped = { readonly kind: 'dropped' | 'absent' } | { readonly kind: 'needed'; readonly why: 'current' | 'secrets'; readonly secrets: number };

/**
 * Takes a key away that enciphers nothing. The database first: no file loses a key that somebody may still turn to, and one that is
 * left in a file by a kill is never taken again. Twice changes nothing. @throws KeyFileRefused | Unavailable
 */
export async function dropKey({ directory, keys }: Pick<RotateDeps, 'directory' | 'keys'>, keyId: string): Promise<Dropped> {
  const needed = await keys.exclusively(async (change): Promise<Dropped | undefined> => {
    const record = await change.read();
    const secrets = record.secrets.get(keyId) ?? 0;
    if (record.keys.some(({ id, state }) => id === keyId && state === 'current')) return { kind: 'needed', why: 'current', secrets };
    if (secrets > 0) return { kind: 'needed', why: 'secrets', secrets };
    await change.drop(keyId);
    return undefined;
  });
  // Not beside somebody who adds one.
  return needed ?? { kind: (await keys.exclusively(() => removeKey(directory, keyId))) ? 'dropped' : 'absent' };
}

/** A key that is in the file and was never told of is one that a killed run had made. */
async function begin({ directory, keys }: Pick<RotateDeps, 'directory' | 'keys'>): Promise<void> {
  const held = await readHeldKeys({ directory, keys });
  const current = (await keys.read()).keys.find(({ state }) => state === 'current');
  if (current === undefined) return;
  await keys.putIfNone(DIGEST_KEY, (await held.cipher(current.id)).seal(DIGEST_KEY, held.digestKey.toString('hex')));
  await keys.exclusively(async (change) => {
    const record = await change.read();
    if (phaseOf(record)?.kind !== 'none') return;
    const known = record.keys.map(({ id }) => id);
    await change.addNext(held.ids().find((id) => !known.includes(id)) ?? await addKey(directory));
  });
}

/** False when somebody does not have the key: one that began just now, or the file here. */
async function turn({ directory, keys }: RotateDeps, next: string): Promise<boolean> {
  const held = await readHeldKeys({ directory, keys });
  if (!held.ids().includes(next)) {
    throw new KeyFileRefused(`${keyFileOf(directory)} lacks key ${next}, which a change of keys was begun with: copy the file from where that was done, or give that key up with "tekai secrets drop-key ${next}" and begin anew`);
  }
  return keys.exclusively(async (change) => {
    const phase = phaseOf(await change.read());
    if (phase?.kind !== 'telling' || phase.next !== next || phase.lacking.length > 0) return false;
    await change.turn();
    return true;
  });
}

interface Enciphering { readonly held: HeldKeys; readonly keys: SecretKeys; readonly current: string }

/** One secret after the other; what is put meanwhile is under the new key already. Gives the names of those that it could not open. */
async function encipherAnew({ held, keys, current }: Enciphering, signal: AbortSignal): Promise<string[]> {
  const cipher = await held.cipher(current);
  const unreadable: string[] = [];
  for (let after = ''; ;) {
    const batch = await keys.notUnder(current, { after, limit: BATCH_SECRETS_MAX });
    const last = batch.at(-1);
    if (last === undefined) return unreadable;
    for (const { name, secret } of batch) {
      signal.throwIfAborted();
      const value = await open(held, { name, secret });
      if (value === undefined) unreadable.push(name);
      else await keys.replace(name, { before: secret, after: cipher.seal(name, value) });
    }
    after = last.name;
  }
}

async function open(held: HeldKeys, { name, secret }: NamedSecret): Promise<string | undefined> {
  try {
    return (await held.cipher(secret.keyId)).open(name, secret);
  } catch (error) {
    // It is told by name, and nothing of it is lost by leaving it as it is.
    if (error instanceof SecretUnreadable) return undefined;
    throw error;
  }
}
