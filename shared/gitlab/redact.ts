import type { GitLabAccess } from './gitlab.ts';

/** Takes what must not be told out of a text. */
export type Redact = (text: string) => string;

/** The secrets of an access, in every form in which a server or git could say them back to us. */
export function redactionOf(access: GitLabAccess, more: readonly string[] = []): Redact {
  const proxy = access.proxyUrl === undefined ? undefined : new URL(access.proxyUrl);
  const plain = [access.token, ...more, proxy?.password, proxy && decodeURIComponent(proxy.password)];
  const secrets = plain
    .filter((secret): secret is string => secret !== undefined && secret !== '')
    .flatMap((secret) => [secret, encodeURIComponent(secret), basicOf(secret), JSON.stringify(secret).slice(1, -1)])
    .sort((a, b) => b.length - a.length);

  return (text) => {
    let told = text;
    for (const secret of secrets) told = told.replaceAll(secret, '***');
    // User info of any URL, also one that we never knew.
    return told.replace(/(\bhttps?:\/\/)[^/\s@]+@/gi, '$1***@');
  };
}

/** User name and token as git sends them: `oauth2` is never a real login (gitlab.md 7.1). */
export function basicOf(token: string): string {
  return Buffer.from(`oauth2:${token}`).toString('base64');
}
