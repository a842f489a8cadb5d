import { hostname } from 'node:os';
import type { Command } from 'commander';
import type { SignedIn } from '#schemas/api/identity.ts';
import { createApiClient, type ApiClient } from '#shared/api-client/api-client.ts';
import { ApiProblem } from '#shared/api-client/api-errors.ts';
import { openPasswords } from '../ask-passwords.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { printable } from '../plain-text.ts';
import { signInByGitLab } from '../sign-in-by-gitlab.ts';
import { keepSignIn, keptSignIn } from '../sign-in-file.ts';

/** As long as a person likes to be left alone; it can be revoked any time. */
const SIGNED_IN_DAYS = 30;

const LOGIN_HELP = `
Keeps a personal token of 30 days for this engine in your configuration folder; "tekai logout" revokes it.
With --gitlab it prints an address: open it in a browser, sign in there, and type the code that the page shows.
A one-time password has you choose another. A program writes the passwords to standard input, one a line.
`;

export function addSignInCommands(program: Command, context: CliContext): void {
  const login = program.command('login').argument('[name]', 'your user name').option('--gitlab <source>', 'who you are is said by this GitLab, in a browser: its name or id')
    .description('sign in, and stay signed in on this machine').addHelpText('after', LOGIN_HELP);
  withCommonFlags(login).action(async (given: string | undefined, { gitlab }: { gitlab?: string }) => {
    const { json, ...connection } = flagsOf(login);
    if ((given === undefined) === (gitlab === undefined)) throw new CliError(EXIT.usage, 'Who are you? Give your user name, or --gitlab and the GitLab that says it.');
    const { url } = context.connect(connection);
    const nobody = createApiClient({ url, token: undefined });
    const session = gitlab === undefined ? await signIn(context, nobody, given ?? '') : await signInByGitLab(context, nobody, gitlab);
    const { name } = session.user;
    const { token, ...made } = await during(session, { url, nobody }, (client) => client.makeToken({ name: `tekai login on ${hostname()}`.slice(0, 100), scope: 'admin', expiresInDays: SIGNED_IN_DAYS }));
    keepSignIn(context.options.env, url, { name, tokenId: made.id, token, expiresAt: made.expiresAt });
    if (json === true) return context.printJson({ name, url, expiresAt: made.expiresAt });
    await context.output.print(`You are ${printable(name)} at ${url}, until ${made.expiresAt.slice(0, 10)}.\n`);
  });

  const logout = withCommonFlags(program.command('logout').description('forget on this machine who you are, and revoke what was kept')).action(async () => {
    const { json, ...connection } = flagsOf(logout);
    const { url } = context.connect(connection);
    const kept = keptSignIn(context.options.env, url);
    if (kept !== undefined) {
      // One that is revoked already is as good as one that we revoke.
      await createApiClient({ url, token: kept.token }).revokeToken(kept.tokenId).catch((error: unknown) => { if (!(error instanceof ApiProblem && error.status < 500)) throw error; });
      keepSignIn(context.options.env, url, undefined);
    }
    if (json === true) return context.printJson({ url, wasSignedIn: kept !== undefined });
    context.note(kept === undefined ? `Nobody was signed in at ${url}.` : `You are signed out of ${url}.`);
  });

  const who = withCommonFlags(program.command('whoami').description('who you are to the engine, and what you may')).action(async () => {
    const { json, ...connection } = flagsOf(who);
    const answer = await context.connect(connection).whoami();
    if (json === true) return context.printJson(answer);
    const name = answer.user === null ? 'whoever has the engine\'s own access token' : printable(answer.user.name);
    await context.output.print(`${name}${answer.isSystemAdmin ? ', a system admin' : ''} (by ${answer.kind.replace('-', ' ')}, for ${answer.scope}; ${context.tokenFrom ?? ''})\n`);
  });
}

/** Signs in with the password, does one thing, and signs out: what must not be done with a token that lies about. */
export async function withSession<T>(context: CliContext, { url, name }: { readonly url: string; readonly name: string }, work: (client: ApiClient) => Promise<T>): Promise<T> {
  const nobody = createApiClient({ url, token: undefined });
  return during(await signIn(context, nobody, name), { url, nobody }, work);
}

async function during<T>(session: SignedIn, { url, nobody }: { readonly url: string; readonly nobody: ApiClient }, work: (client: ApiClient) => Promise<T>): Promise<T> {
  try {
    return await work(createApiClient({ url, token: session.accessToken }));
  } finally {
    await nobody.signOut(session.refreshToken);
  }
}

async function signIn(context: CliContext, client: ApiClient, name: string): Promise<SignedIn> {
  const passwords = openPasswords(context.options);
  try {
    const password = await passwords.ask(`Password of ${printable(name)} (not shown): `);
    try {
      return await client.signIn({ name, password });
    } catch (error) {
      if (!(error instanceof ApiProblem) || error.code !== 'password-to-be-chosen') throw error;
      return await client.signIn({ name, password, newPassword: await passwords.askNew() });
    }
  } finally {
    passwords.close();
  }
}
