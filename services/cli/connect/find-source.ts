import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import type { SourceCheck } from '#schemas/api/sources.ts';
import type { checkSource } from '#schemas/commands/commands.ts';
import type { ApiClient } from '#shared/api-client/api-client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { printable } from '../plain-text.ts';
import { furtherAdvice } from './explain-check.ts';

export interface AccessFlags { readonly ca?: string; readonly clientCert?: string; readonly clientKey?: string; readonly proxy?: string; readonly allowAddresses?: readonly string[] }

export interface KnownSource { readonly id: string; readonly name: string; readonly baseUrl: string }

/** The source that this address is already, of that name if one is given; the oldest, if there are several. */
export async function findKnownSource(client: Pick<ApiClient, 'sources'>, { baseUrl, name }: { baseUrl: string; name: string | undefined }): Promise<KnownSource | undefined> {
  const same = (await client.sources()).filter((one) => addressKey(one.baseUrl) === addressKey(baseUrl) && (name === undefined || one.name === name));
  return [...same].sort((a, b) => (a.registeredAt < b.registeredAt ? -1 : 1))[0];
}

/** `HTTPS://GitLab.example.com:443/` and `https://gitlab.example.com` are one place. */
const addressKey = (address: string) => new URL(address).href.replace(/\/+$/, '');

/** How GitLab is reached, as the flags and their files say. @throws CliError */
export function accessOf({ baseUrl, token, flags }: { baseUrl: string; token: string; flags: AccessFlags }): z.input<typeof checkSource> {
  if ((flags.clientCert === undefined) !== (flags.clientKey === undefined)) throw new CliError(EXIT.usage, '--client-cert and --client-key go together: the certificate that GitLab or its proxy asks for, and its private key, both as PEM.');
  return {
    baseUrl, token,
    ...(flags.ca === undefined ? {} : { caPem: pemFrom(flags.ca, 'certificate authority') }),
    ...(flags.clientCert === undefined ? {} : { clientCertPem: pemFrom(flags.clientCert, 'client certificate') }),
    ...(flags.clientKey === undefined ? {} : { clientKeyPem: pemFrom(flags.clientKey, 'key of the client certificate') }),
    ...(flags.proxy === undefined ? {} : { proxyUrl: flags.proxy }),
    ...(flags.allowAddresses === undefined ? {} : { allowAddresses: [...flags.allowAddresses] }),
  };
}

function pemFrom(file: string, what: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliError(EXIT.usage, `The ${what} cannot be read from ${file} (${(error as NodeJS.ErrnoException).code ?? String(error)}). Name a file in PEM form.`);
  }
  if (!text.includes('-----BEGIN ')) throw new CliError(EXIT.usage, `The file ${file} holds no ${what}: PEM begins with -----BEGIN. One in DER form becomes PEM by "openssl x509 -inform der -in ${file}".`);
  return text;
}

/** What to do about a GitLab that did not let us in, by what it said. @throws CliError, unless all is well */
export function refuseBadCheck(check: SourceCheck, lines: readonly string[]): void {
  if (check.state !== 'ok') throw new CliError(EXIT.failed, [printable(check.detail), ...furtherAdvice(check).map((detail) => `  - ${printable(detail)}`), 'Nothing was kept. Mend it, and run the same command again.'].join('\n'));
  if (check.can.readApi === 'no') throw new CliError(EXIT.failed, [...lines, `This token cannot list projects, so there is nothing to connect. Make one with the scopes read_api and read_repository (to read), or api and read_repository (to make webhooks too), and run the same command again.`].join('\n'));
}
