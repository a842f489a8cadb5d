import type { SourceCheck } from '#schemas/api/sources.ts';
import type { ChangeSource } from '#schemas/commands/commands.ts';
import type { GitLabAccess } from '#shared/gitlab/gitlab.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { checkSource, type CheckSourceDeps } from '#shared/sources/check-source.ts';
import { accessOf } from './source-access.ts';

/** Which field of the body to look at. */
const POINTERS: Readonly<Record<string, string>> = {
  'tls-authority-unknown': '/caPem', 'client-certificate-refused': '/clientCertPem', 'connection-cut': '/clientCertPem', 'proxy-failed': '/proxyUrl', 'proxy-login': '/proxyUrl',
};

/** Asks GitLab whether it takes what was given, before anything is kept. @throws Problem 422 when it refuses, or when it cannot be reached and that was not accepted */
export async function checkGiven(deps: CheckSourceDeps, access: GitLabAccess, { acceptUnreachable = false }: { acceptUnreachable?: boolean | undefined }): Promise<SourceCheck> {
  const check = await checkSource(deps, access);
  if (check.state === 'refused') throw new Problem(422, 'source-refused', check.detail, { errors: [{ pointer: '/token', detail: 'refused by GitLab' }] });
  // That it may be kept all the same is for a GitLab that is away, not for one that must not be gone to.
  if (check.advice.some(({ code }) => code === 'address-not-allowed')) throw new Problem(422, 'address-not-allowed', check.detail, { errors: [{ pointer: '/allowAddresses', detail: 'address-not-allowed' }] });
  if (check.state === 'unreachable' && !acceptUnreachable) {
    throw new Problem(422, 'source-unreachable', `${check.detail} To keep it all the same, send "acceptUnreachable": true.`, { errors: check.advice.slice(0, 1).map(({ code }) => ({ pointer: POINTERS[code] ?? '/baseUrl', detail: code })) });
  }
  return check;
}

type Setting = 'token' | 'ca' | 'client' | 'proxy' | 'addresses';

/** How a source is reached once it is changed so, and what of that differs from what is in use. @throws Problem 422 */
export function changedAccessOf({ baseUrl, now, body }: { baseUrl: string; now: GitLabAccess | undefined; body: ChangeSource }): { access: GitLabAccess; changed: readonly Setting[] } | undefined {
  const { token = now?.token, caPem = now?.caPem, proxyUrl = now?.proxyUrl, clientCertPem = now?.client?.certPem, allowAddresses = now?.allowAddresses } = body;
  // The key goes with its certificate; a certificate that was renewed may keep it.
  const { clientKeyPem = clientCertPem === null ? undefined : now?.client?.keyPem } = body;
  if (['token', 'caPem', 'proxyUrl', 'clientCertPem', 'clientKeyPem', 'allowAddresses'].every((name) => body[name as keyof ChangeSource] === undefined)) return undefined;
  if (token === undefined) throw new Problem(422, 'body-invalid', 'The engine cannot read the token of this source any more (or its client key). Send a new one with this change.', { errors: [{ pointer: '/token', detail: 'missing' }] });
  const access = accessOf({ baseUrl, token, caPem: caPem ?? undefined, proxyUrl: proxyUrl ?? undefined, clientCertPem: clientCertPem ?? undefined, clientKeyPem, allowAddresses: [...allowAddresses ?? []] });
  const isOther: Record<Setting, boolean> = {
    token: access.token !== now?.token, ca: access.caPem !== now?.caPem, proxy: access.proxyUrl !== now?.proxyUrl,
    client: access.client?.certPem !== now?.client?.certPem || access.client?.keyPem !== now?.client?.keyPem,
    addresses: access.allowAddresses?.join() !== (now?.allowAddresses ?? []).join(),
  };
  return { access, changed: (['token', 'ca', 'client', 'proxy', 'addresses'] as const).filter((what) => isOther[what]) };
}
