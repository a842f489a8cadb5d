import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import type { CheckSource } from '#schemas/commands/commands.ts';
import type { ClientCertificate, GitLabAccess } from '#shared/gitlab/gitlab.ts';
import { mustBePrivate } from '#shared/addresses/must-be-private.ts';
import { Problem } from '#shared/runtime/problem.ts';

/** How a command says to reach a GitLab, with what can be seen to be wrong seen now. @throws Problem 422 */
export function accessOf(body: CheckSource): GitLabAccess {
  const { baseUrl, token, caPem, proxyUrl, allowAddresses = [] } = body;
  const { username, password } = new URL(baseUrl);
  if (username !== '' || password !== '') throw wrong('/baseUrl', 'The address holds credentials. Leave them out; the token has a field of its own.');
  if (caPem !== undefined) certificatesOf(caPem, '/caPem');
  mustBePrivate(allowAddresses, '/allowAddresses');
  return { baseUrl, token, caPem, proxyUrl, client: clientOf(body), allowAddresses };
}

function clientOf({ clientCertPem: certPem, clientKeyPem: keyPem }: CheckSource): ClientCertificate | undefined {
  if (certPem === undefined && keyPem === undefined) return undefined;
  if (certPem === undefined) throw wrong('/clientCertPem', 'A client key without its certificate. Give both, or neither.');
  if (keyPem === undefined) throw wrong('/clientKeyPem', 'A client certificate without its key. Give both, or neither.');
  const [own] = certificatesOf(certPem, '/clientCertPem');
  if (own?.checkPrivateKey(keyOf(keyPem)) !== true) throw wrong('/clientKeyPem', 'The client key is not that of the first certificate in clientCertPem.');
  return { certPem, keyPem };
}

function certificatesOf(pem: string, pointer: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw wrong(pointer, 'There is no certificate in it. It begins with -----BEGIN CERTIFICATE-----.');
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    throw wrong(pointer, 'It holds a certificate that cannot be read. Is it cut, or not in PEM?');
  }
}

function keyOf(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // Node's own words could quote the key.
    const isEnciphered = /ENCRYPTED/.test(pem);
    throw wrong('/clientKeyPem', isEnciphered ? 'The client key has a passphrase. Give it without: openssl pkey -in <file>. The engine keeps it enciphered.' : 'The client key cannot be read. It is a private key in PEM.');
  }
}

function wrong(pointer: string, detail: string): Problem {
  return new Problem(422, 'body-invalid', detail, { errors: [{ pointer, detail }] });
}
