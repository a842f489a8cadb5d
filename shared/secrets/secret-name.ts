import type { SecretName } from './secret-vault.ts';

const NAME = /^[A-Za-z0-9_-]+(?:\/[A-Za-z0-9_-]+)*$/;
const NAME_LENGTH_MAX = 200;

/** 64 KiB: tokens have hundreds of bytes, a private key some thousands. */
const VALUE_CHARACTERS_MAX = 65_536;

/** What every vault asks before it stores. The value is in no message. @throws TypeError */
export function checkSecret(name: SecretName, value: string): void {
  if (name.length > NAME_LENGTH_MAX || !NAME.test(name)) throw new TypeError('not the name of a secret: it is not shown, because who mixes up the arguments gives the secret itself; a name is like source/<id>/gitlab-token');
  if (value.length > VALUE_CHARACTERS_MAX) throw new TypeError(`secret ${name} has ${value.length} characters; a secret has ${VALUE_CHARACTERS_MAX} at most`);
}
