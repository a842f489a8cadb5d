import type { SignedIn, SignInBegun } from '#schemas/api/identity.ts';
import type { SourceId } from '#schemas/brand.ts';
import { hashOfOpaque, makeOpaqueToken } from '#shared/identity/opaque-token.ts';
import { SignInFailed, type SignInProof, type SignInProvider } from '#shared/identity/sign-in-provider.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';
import { keepGrant, takeGrant } from './grants.ts';
import { activeUser, personOf, type PersonDeps } from './gitlab-person.ts';
import { randomLetters } from './random-letters.ts';
import { openSession, type SignInDeps } from './sign-in.ts';
import { signInBy, type SettingsDeps } from './sign-in-settings.ts';

/** For a password, a second factor, and a consent. */
const LASTS_MS = 600_000;
/** Far more than sign in within ten minutes; who begins more than that signs nobody in. */
const UNDER_WAY_MAX = 10_000;
/** 59 random bits, and a handful of tries for who mistypes. */
const CODE_LETTERS = 12;
const GUESSES_MAX = 5;

export interface GitLabSignInDeps extends SignInDeps, Omit<PersonDeps, 'query' | 'passwords' | 'now'>, Omit<SettingsDeps, 'vault' | 'log' | 'store'> {
  readonly vault: SecretVault;
  readonly signInProvider: SignInProvider;
}

/** Why a sign-in that was begun leads nowhere, as it is kept for who began it. */
type Failure = SignInFailed['failure'] | 'away' | 'refused';

const FAILURES: Readonly<Record<Failure, () => Problem>> = {
  denied: () => new Problem(401, 'sign-in-denied', 'GitLab says that you did not let us know who you are. Begin again.'),
  client: () => new Problem(422, 'sign-in-client', 'GitLab does not take the application id and secret that this engine has for it. A system admin sets them again: tekai source sign-in.'),
  'set-up': () => new Problem(422, 'sign-in-set-up', 'GitLab cannot be asked who somebody is, as it is set up. A system admin finds the reason in the engine\'s log.'),
  answer: () => new Problem(401, 'sign-in-unproven', 'What GitLab answered does not prove who you are. Begin again; a system admin finds the reason in the engine\'s log.'),
  away: () => new Problem(503, 'gitlab-away', 'GitLab, or what this engine stands on, did not answer. Begin again in a moment.', { retryAfterS: 5 }),
  // The same for whom nobody here is, and for who may not: who there is, is not told.
  refused: () => new Problem(401, 'sign-in-refused', 'GitLab says who you are, and nobody who may sign in here is that user. A system admin lets you in: tekai user link.'),
};

/** @throws Problem 404, 422, 503 | Unavailable */
export async function beginSignIn(deps: GitLabSignInDeps, source: SourceId): Promise<SignInBegun> {
  const { client } = await signInBy(deps, source);
  const [state, handle] = [makeOpaqueToken('state'), makeOpaqueToken('signIn')];
  const url = await deps.signInProvider.authorizationUrl(client, proofOf(deps, state.token)).catch((error: unknown) => { throw told(deps, source, error); });
  const begun = await deps.query(`insert into identity_gitlab_sign_ins (state_hash, handle_hash, source_id, expires_at)
    select $1, $2, source_id, $4 from identity_sign_in_settings where source_id = $3 and (select count(*) from identity_gitlab_sign_ins where expires_at > $5) < $6 returning source_id`,
  [state.hash, handle.hash, source, new Date(deps.now().getTime() + LASTS_MS), deps.now(), UNDER_WAY_MAX]);
  if (begun.length === 0) throw new Problem(503, 'too-many-sign-ins', 'Too many sign-ins are under way. Ask again in a minute.', { retryAfterS: 60 });
  return { url: url.href, handle: handle.token, expiresInSeconds: LASTS_MS / 1_000 };
}

/**
 * A browser came back from GitLab. What it is shown is good for who began the sign-in, and for nobody else: only who has both ends of
 * it in hand is signed in. @returns the code for the browser @throws Problem | Unavailable
 */
export async function returnFromGitLab(deps: GitLabSignInDeps, source: SourceId, { answer, address }: { readonly answer: URLSearchParams; readonly address: string | null }): Promise<string> {
  const state = answer.get('state') ?? '';
  const hash = hashOfOpaque('state', state);
  // Taken before anything is asked: it is good once, whatever becomes of it.
  const [taken] = hash === undefined ? [] : await deps.query('update identity_gitlab_sign_ins set returned_at = $3 where state_hash = $1 and source_id = $2 and returned_at is null and expires_at > $3 returning state_hash', [hash, source, deps.now()]);
  if (taken === undefined) throw new Problem(400, 'sign-in-over', 'This sign-in was not begun here, is over, or was used already. Begin again: tekai login --gitlab.');
  const keep = (values: { failure?: Failure; userId?: string; codeDigest?: string; grantId?: string | undefined }) => deps.query('update identity_gitlab_sign_ins set failure = $2, user_id = $3, code_digest = $4, grant_id = $5 where state_hash = $1', [hash, values.failure, values.userId, values.codeDigest, values.grantId]);
  try {
    const { client, unknownUsers } = await signInBy(deps, source);
    const { gitlabUserId, tokens } = await deps.signInProvider.subjectOf(client, proofOf(deps, state), answer);
    const user = await personOf(deps, { sourceId: source, gitlabUserId, unknownUsers, address });
    if (user === undefined) {
      deps.logger.warn({ source, gitlabUserId }, 'a sign-in by GitLab was refused: nobody who may sign in is that user');
      throw FAILURES.refused();
    }
    const code = randomLetters(CODE_LETTERS);
    const grantId = tokens === undefined ? undefined : await keepGrant(deps, { sourceId: source, userId: user.user_id, gitlabUserId, tokens });
    await keep({ userId: user.user_id, codeDigest: digestOf(deps, code), grantId });
    return code;
  } catch (error) {
    const failed = told(deps, source, error);
    await keep({ failure: failureOf(failed) });
    throw failed;
  }
}

/** Whoever began it shows what the browser was shown. @throws Problem 401, 409, 422 */
export async function finishSignIn(deps: GitLabSignInDeps, source: SourceId, { handle, code, address }: { readonly handle: string; readonly code: string; readonly address: string | null }): Promise<SignedIn> {
  const over = new Problem(401, 'sign-in-over', 'This sign-in was not begun here, is over, or was used already. Begin again: tekai login --gitlab.');
  const given = [hashOfOpaque('signIn', handle), source, deps.now()];
  const [begun] = given[0] === undefined ? [] : await deps.query<{ failure: Failure | null; user_id: string | null }>('select failure, user_id from identity_gitlab_sign_ins where handle_hash = $1 and source_id = $2 and expires_at > $3', given);
  if (begun === undefined) throw over;
  if (begun.failure !== null) throw FAILURES[begun.failure]();
  if (begun.user_id === null) throw new Problem(409, 'sign-in-waits', 'Nobody has come back from GitLab yet. Open the address in a browser; the page at its end shows the code.');
  // Counted before it is looked at, so that no number of guesses at the same time gets past.
  const counted = await deps.query('update identity_gitlab_sign_ins set guesses = guesses + 1 where handle_hash = $1 and source_id = $2 and expires_at > $3 and guesses < $4 returning guesses', [...given, GUESSES_MAX]);
  if (counted.length === 0) throw over;
  const [proved] = await deps.query<{ user_id: string; grant_id: string | null }>('delete from identity_gitlab_sign_ins where handle_hash = $1 and source_id = $2 and expires_at > $3 and code_digest = $4 returning user_id, grant_id', [...given, digestOf(deps, code.trim().toLowerCase())]);
  if (proved === undefined) throw new Problem(401, 'code-wrong', 'This is not the code that the browser was shown.');
  const user = await activeUser(deps, proved.user_id);
  if (user === undefined) throw FAILURES.refused();
  deps.logger.info({ userId: user.user_id, source }, 'somebody signed in by GitLab');
  const signedIn = await openSession(deps, user, { address });
  // Behind the sign-in, which makes it one that may be used.
  if (proved.grant_id !== null) await takeGrant(deps, proved.grant_id);
  return signedIn;
}

export async function sweepSignIns({ query, now }: Pick<GitLabSignInDeps, 'query' | 'now'>): Promise<void> {
  await query('delete from identity_gitlab_sign_ins where expires_at <= $1', [now()]);
}

/** Follows from the state and a key that only we have: nothing of it is kept, and who saw the state knows nothing of it. */
const proofOf = ({ vault }: GitLabSignInDeps, state: string): SignInProof => ({ state, nonce: vault.digest(`sign-in nonce ${state}`), codeVerifier: vault.digest(`sign-in verifier ${state}`) });

const digestOf = ({ vault }: GitLabSignInDeps, code: string) => vault.digest(`sign-in code ${code.replaceAll('-', '')}`);

/** For who asked; the log gets the reason. What is away of our own is told as it is everywhere. */
function told({ logger }: GitLabSignInDeps, source: SourceId, error: unknown): unknown {
  if (error instanceof SignInFailed) {
    logger.warn({ source, failure: error.failure, reason: error.message }, 'a sign-in by GitLab failed');
    return FAILURES[error.failure]();
  }
  if (!(error instanceof Unavailable) || !error.dependency.startsWith('gitlab ')) return error;
  logger.warn({ error, source }, 'a sign-in by GitLab waits for nobody: GitLab is away');
  return FAILURES.away();
}

function failureOf(error: unknown): Failure {
  const known = Object.entries(FAILURES).find(([, problem]) => error instanceof Problem && problem().code === error.code);
  return known === undefined ? 'away' : known[0] as Failure;
}
