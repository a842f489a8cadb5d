/** A secret is there and cannot be deciphered: it was tampered with or moved, or the key is another. Waiting does not help; the message says what does. */
export class SecretUnreadable extends Error {
  override readonly name = 'SecretUnreadable';
}
