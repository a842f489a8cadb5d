import type { AuthProviderList, SignedIn } from '#schemas/api/identity.ts';
import type { ApiClient } from '#shared/api-client/api-client.ts';
import { ApiProblem } from '#shared/api-client/api-errors.ts';
import { openQuestions } from './connect/ask-line.ts';
import type { CliContext } from './context.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { nearestName } from './nearest-name.ts';
import { printable } from './plain-text.ts';

/** Of a code of twelve letters. */
const SLIPS_MAX = 2;

/** Somebody signs in in a browser, anywhere, and brings the code that it shows here. @throws CliError | ApiProblem */
export async function signInByGitLab(context: CliContext, client: ApiClient, named: string): Promise<SignedIn> {
  const provider = providerOf(await client.authProviders(), named);
  const { url, handle, expiresInSeconds } = await client.beginSignIn(provider.id);
  context.note(`Open this in a browser, and sign in at ${printable(provider.name)}:\n\n  ${printable(url)}\n`);
  const questions = openQuestions(context.options);
  try {
    for (let slips = 0; ; slips += 1) {
      const code = await questions.ask(`The code that the page shows (within ${Math.floor(expiresInSeconds / 60)} minutes; Enter alone asks why there is none): `);
      try {
        return await client.finishSignIn(provider.id, { handle, code });
      } catch (error) {
        if (!(error instanceof ApiProblem) || !['code-wrong', 'sign-in-waits'].includes(error.code) || slips >= SLIPS_MAX) throw error;
        context.note(error.code === 'code-wrong' ? 'That is not the code. Once more.' : 'Nobody has come back from GitLab yet.');
      }
    }
  } finally {
    questions.close();
  }
}

function providerOf(providers: AuthProviderList['providers'], named: string): AuthProviderList['providers'][number] {
  const found = providers.filter(({ id, name }) => id === named.toLowerCase() || name.toLowerCase() === named.toLowerCase());
  if (found.length > 1) throw new CliError(EXIT.failed, `More than one GitLab is called "${printable(named)}". Give its id: ${found.map(({ id }) => id).join(', ')}.`);
  if (found[0] !== undefined) return found[0];
  if (providers.length === 0) throw new CliError(EXIT.failed, 'Nobody signs in by a GitLab here. A system admin allows it: tekai source sign-in.');
  const near = nearestName(named, providers.map(({ name }) => name));
  throw new CliError(EXIT.failed, `Nobody signs in by "${printable(named)}" here.${near === undefined ? '' : ` Did you mean "${printable(near)}"?`} There is: ${providers.map(({ name }) => printable(name)).join(', ')}.`);
}
