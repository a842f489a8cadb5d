import type { SourceCheck } from '#schemas/api/sources.ts';
import { printable } from '../plain-text.ts';

const KINDS: Readonly<Record<SourceCheck['token']['kind'], string>> = {
  personal: 'a personal access token', project: 'a project access token', group: 'a group access token',
  oauth: 'an OAuth token', deploy: 'a deploy token', unknown: 'a token whose kind GitLab does not tell',
};

/** What a token is and what it allows, and what it does not, in lines for a person. */
export function explainCheck(check: SourceCheck, { host, now }: { host: string; now: Date }): string[] {
  const { gitlab, token, can } = check;
  const owner = token.user === null ? '' : ` of ${printable(token.user.username)}${token.user.isAdmin ? ', an administrator' : ''}`;
  const name = token.name === null ? '' : ` ("${printable(token.name)}")`;
  return [
    `${host} is GitLab${gitlab.version === null ? ', of a version that it does not tell' : ` ${printable(gitlab.version)}`}.`,
    `The token is ${KINDS[token.kind]}${owner}${name}.`,
    `  scopes                     ${token.scopes === null ? 'not told' : token.scopes.map(printable).join(', ') || 'none'}`,
    `  expires                    ${expiryInWords(token.expiresAt, now)}`,
    `  list groups and projects   ${SAID[can.readApi]}`,
    `  read code by git           ${SAID[can.readRepository]}`,
    `  make webhooks              ${HOOKS[can.makeHooks]}`,
    ...furtherAdvice(check).map((detail) => `  - ${printable(detail)}`),
  ];
}

/** Advice that the detail has not given already. */
export const furtherAdvice = ({ detail, advice }: SourceCheck): string[] => advice.map((one) => one.detail).filter((one) => !detail.includes(one));

const SAID = { yes: 'yes', no: 'no', unknown: 'GitLab does not tell; the first sync will show' } as const;
const HOOKS = {
  yes: 'yes',
  no: 'no: new pushes are found by asking GitLab again and again, unless you make the webhook by hand',
  depends: 'where its user is Maintainer or Owner of the project; elsewhere GitLab is asked again and again',
} as const;

/** `never`, or the day and how far it is. */
export function expiryInWords(expiresAt: string | null, now: Date): string {
  if (expiresAt === null) return 'never, or not told';
  const days = Math.floor((Date.parse(expiresAt) - now.getTime()) / 86_400_000);
  const day = expiresAt.slice(0, 10);
  if (days < 0) return `${day}: it has expired. Make a new one in GitLab`;
  return `${day}, in ${days} days`;
}
