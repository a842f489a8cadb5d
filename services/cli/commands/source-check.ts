import type { Command } from 'commander';
import type { SourceAnswer, SourceCheck } from '#schemas/api/sources.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { findSource } from '../find-named.ts';
import { ageInWords, printable } from '../plain-text.ts';

/** `source check` and `source show`: what is known of a GitLab's credentials, now and when last asked. */
export function addSourceCheckCommands(source: Command, context: CliContext): void {
  const check = source.command('check').argument('<source>', 'its name, address or id').description('ask GitLab now what the token may do');
  withCommonFlags(check).action(async (given: string) => {
    const { json, ...connection } = flagsOf(check);
    const client = context.connect(connection);
    const found = await client.recheckSource((await findSource(client, given)).id);
    if (found.state !== 'ok') context.exitCode = EXIT.failed;
    if (json === true) return context.printJson(found);
    await context.output.print(describeCheck(found));
  });

  const show = source.command('show').argument('<source>', 'its name, address or id').description('what is known of it, and of its token');
  withCommonFlags(show).action(async (given: string) => {
    const { json, ...connection } = flagsOf(show);
    const client = context.connect(connection);
    const found = await client.source((await findSource(client, given)).id);
    if (json === true) return context.printJson(found);
    await context.output.print(describeSource(found, context.options.now()));
  });
}

/** A check in lines for people. */
export function describeCheck({ state, detail, gitlab, token, can, advice }: SourceCheck): string {
  const owner = token.user === null ? '' : ` of ${token.user.username}${token.user.isAdmin ? ' (administrator)' : ''}`;
  const lines = [
    `${{ ok: 'Good', refused: 'Refused', unreachable: 'Not reachable' }[state]}: ${detail}`,
    ...(state === 'unreachable' ? [] : [
      `  gitlab    ${gitlab.version ?? 'version unknown'}`,
      `  token     ${token.kind}${owner}${token.name === null ? '' : ` ("${token.name}")`}`,
      `  scopes    ${token.scopes?.join(', ') ?? 'unknown'}`,
      `  expires   ${expiryOf(token, { isTold: token.scopes !== null })}`,
      `  may       read over REST: ${can.readApi}; fetch by git: ${can.readRepository}; make webhooks: ${can.makeHooks === 'depends' ? 'where it is a Maintainer' : can.makeHooks}`,
    ]),
    // What is said above is not said twice.
    ...advice.filter((one) => !detail.includes(one.detail)).map((one) => `  ! ${one.detail}`),
  ];
  return `${lines.map(printable).join('\n')}\n`;
}

function describeSource({ id, name, baseUrl, registeredAt, token, check, polling }: SourceAnswer, now: Date): string {
  const lines = [
    name, `  id        ${id}`, `  url       ${baseUrl}`, `  since     ${ageInWords(registeredAt, now)}`,
    `  check     ${check.state}${token === null ? ', not yet asked' : `, ${ageInWords(token.checkedAt, now)}`}`,
    ...(token === null ? [] : [
      `  token     ${token.kind}${token.lastFour === null ? '' : `, ends in ${token.lastFour}`}`,
      `  scopes    ${token.scopes?.join(', ') ?? 'unknown'}`,
      `  expires   ${expiryOf(token, { isTold: token.scopes !== null })}`,
    ]),
    ...readersOf(polling),
  ];
  return `${lines.map(printable).join('\n')}\n`;
}

/** How soon it is learnt who reads what, where no webhook tells. */
function readersOf(polling: SourceAnswer['polling']): string[] {
  if (polling?.readersBoundSeconds === null || polling?.readersBoundSeconds === undefined) return [];
  const { readersBoundSeconds, people } = polling;
  return [`  readers   learnt within ${readersBoundSeconds} s${people === null ? '' : `, of ${people.asked} of ${people.active} active people within ${people.boundSeconds} s, by their own tokens`}`];
}

const expiryOf = ({ expiresAt }: { readonly expiresAt: string | null }, { isTold }: { readonly isTold: boolean }) => expiresAt ?? (isTold ? 'never' : 'unknown');
