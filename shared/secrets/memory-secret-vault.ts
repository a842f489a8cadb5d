import { randomBytes } from 'node:crypto';
import { KEY_BYTES, createDigest, createSecretCipher, digestKeyOf, type SealedSecret } from './secret-cipher.ts';
import { checkSecret } from './secret-name.ts';
import type { SecretName, SecretVault } from './secret-vault.ts';

/** Secrets in this process's memory: for tests. */
export function createMemorySecretVault(): SecretVault {
  const key = randomBytes(KEY_BYTES);
  const cipher = createSecretCipher(key);
  const secrets = new Map<SecretName, SealedSecret>();

  return {
    async put(name, value) {
      checkSecret(name, value);
      secrets.set(name, cipher.seal(name, value));
    },
    async get(name) {
      const secret = secrets.get(name);
      return secret && cipher.open(name, secret);
    },
    async delete(name) {
      secrets.delete(name);
    },
    digest: createDigest(digestKeyOf(key)),
  };
}
