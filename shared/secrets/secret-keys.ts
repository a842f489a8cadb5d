import type { SealedSecret } from './secret-cipher.ts';
import type { SecretName } from './secret-vault.ts';

/** Ids of keys, and never keys. `current` enciphers; `next` is to, once every process has it; `old` is kept for what it enciphered; `gone` was dropped. */
export type KeyState = 'next' | 'current' | 'old' | 'gone';

export interface KeyRecord {
  readonly keys: readonly { readonly id: string; readonly state: KeyState; readonly since: Date }[];
  /** How many secrets each key enciphered, by its id. */
  readonly secrets: ReadonlyMap<string, number>;
  /** Processes that told of themselves within the last minute, and the keys that each has. */
  readonly holders: readonly { readonly process: string; readonly keyIds: readonly string[] }[];
}

export interface NamedSecret { readonly name: SecretName; readonly secret: SealedSecret }

/** Which keys a vault's secrets are enciphered with, and who has them. @throws Unavailable when its store is away */
export interface SecretKeys {
  read(): Promise<KeyRecord>;
  /** A process says which keys it has; told again before a minute is over. The first of all makes `first` the current key. */
  tell(holder: string, told: { readonly process: string; readonly keyIds: readonly string[]; readonly first: string }): Promise<void>;
  forget(holder: string): Promise<void>;
  /** Holds off every other change of keys, here and on other hosts, until `work` has ended. */
  exclusively<T>(work: (change: KeyChange) => Promise<T>): Promise<T>;
  secret(name: SecretName): Promise<SealedSecret | undefined>;
  /** Leaves what is there. */
  putIfNone(name: SecretName, secret: SealedSecret): Promise<void>;
  /** Secrets that another key than this one enciphered, by name, from behind `after`. */
  notUnder(keyId: string, page: { readonly after: SecretName; readonly limit: number }): Promise<NamedSecret[]>;
  /** False when it was put anew or deleted meanwhile. */
  replace(name: SecretName, change: { readonly before: SealedSecret; readonly after: SealedSecret }): Promise<boolean>;
}

export interface KeyChange {
  read(): Promise<KeyRecord>;
  addNext(keyId: string): Promise<void>;
  /** The next becomes the current one, and the current one old. */
  turn(): Promise<void>;
  /** For good: such a key is never taken again. */
  drop(keyId: string): Promise<void>;
}
