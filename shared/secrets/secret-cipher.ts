import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import type { SecretName } from './secret-vault.ts';
import { SecretUnreadable } from './secret-unreadable.ts';

export const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface SealedSecret {
  readonly keyId: string;
  readonly nonce: Buffer;
  readonly sealed: Buffer;
}

export interface SecretCipher {
  readonly keyId: string;
  seal(name: SecretName, value: string): SealedSecret;
  /** @throws SecretUnreadable */
  open(name: SecretName, secret: SealedSecret): string;
}

/**
 * Enciphers under keys derived from one key of 32 bytes, one for each use, so that a digest tells nothing about the cipher.
 * Nonces are random: good for 4 billion secrets under one key.
 */
export function createSecretCipher(key: Buffer): SecretCipher {
  const cipherKey = derive(key, 'secrets aes-256-gcm');
  const keyId = keyIdOf(key);

  return {
    keyId,
    seal(name, value) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', cipherKey, nonce, { authTagLength: TAG_BYTES }).setAAD(boundTo(name));
      return { keyId, nonce, sealed: Buffer.concat([cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()]) };
    },
    open(name, { keyId: sealedBy, nonce, sealed }) {
      if (sealedBy !== keyId) {
        throw new SecretUnreadable(`secret ${name} was enciphered with key ${sealedBy}, and this process has key ${keyId}: bring back the key file it was written with, or set the secret anew`);
      }
      try {
        const decipher = createDecipheriv('aes-256-gcm', cipherKey, nonce, { authTagLength: TAG_BYTES }).setAAD(boundTo(name));
        decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
        return Buffer.concat([decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES)), decipher.final()]).toString('utf8');
      } catch (cause) {
        throw new SecretUnreadable(`secret ${name} does not decipher: its row was changed, or belongs to another name; find out who writes to that table, and set the secret anew`, { cause });
      }
    },
  };
}

/** The key of digests that follows from the first key of a vault; what digests are stored under it outlives that key. */
export function digestKeyOf(key: Buffer): Buffer {
  return derive(key, 'secrets digest');
}

/** HMAC-SHA256 of a text, in hex. */
export function createDigest(digestKey: Buffer): (text: string) => string {
  return (text) => createHmac('sha256', digestKey).update(text).digest('hex');
}

/** Names a key without telling anything about it. */
export function keyIdOf(key: Buffer): string {
  return derive(key, 'secrets key id').toString('hex', 0, 8);
}

function derive(key: Buffer, use: string): Buffer {
  if (key.length !== KEY_BYTES) throw new RangeError(`a key has ${KEY_BYTES} bytes, not ${key.length}`);
  return Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), `tekai context engine: ${use}`, 32));
}

/** Table, row and column: a value moved to another place does not decipher there. As JSON, so that no two places read alike. */
function boundTo(name: SecretName): Buffer {
  return Buffer.from(JSON.stringify(['secrets', name, 'sealed']));
}
