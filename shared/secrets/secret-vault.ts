/** What a secret is for: `source/<id>/gitlab-token`, `source/<id>/webhook-token`. */
export type SecretName = string;

/** Secrets at rest, enciphered. Never in facts, logs, errors or answers. @throws Unavailable when its store is away. */
export interface SecretVault {
  put(name: SecretName, value: string): Promise<void>;
  /** Undefined when there is none of that name. @throws SecretUnreadable when it was tampered with, moved, or the key is another. */
  get(name: SecretName): Promise<string | undefined>;
  delete(name: SecretName): Promise<void>;
  /** Keyed digest (hex, 32 bytes): equal for equal text under this vault, and useless to guess the text from. */
  digest(text: string): string;
}
