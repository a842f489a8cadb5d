import type { SourceId } from '#schemas/brand.ts';
import type { AuthProviderList, SignInSettings, UnknownUsers } from '#schemas/api/identity.ts';
import { sourceStream } from '#schemas/ids.ts';
import type { SignInClient } from '#shared/identity/sign-in-provider.ts';
import { readState } from '#shared/lifecycles/read-state.ts';
import { applyToSource } from '#shared/lifecycles/source-state.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { Query } from '#shared/postgres/query.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import { Problem } from '#shared/runtime/problem.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';
import type { SourceDirectory } from '#shared/sources/source-directory.ts';
import { sourceSecret } from '#shared/sources/source-secret.ts';
import { countGrants, forgetGrantsAt } from './grants.ts';
import { recorded, type By } from './recording.ts';

export interface SettingsDeps {
  readonly query: Query;
  readonly vault: Pick<SecretVault, 'get' | 'put' | 'delete'>;
  readonly log: Pick<EventLog, 'readStream'>;
  readonly store: Pick<ReadStore, 'sources'>;
  readonly sources: Pick<SourceDirectory, 'access'>;
  /** Where people and GitLab reach us. */
  readonly issuer: string;
  now(): Date;
}

interface Row { readonly source_id: SourceId; readonly client_id: string; readonly unknown_users: UnknownUsers; readonly own_access: boolean; readonly changed_at: Date }

/** Forgotten together with the source's other secrets. */
const secretOf = (source: SourceId) => sourceSecret(source, 'sign-in-secret');

/** By which GitLabs people sign in: everybody may know it. */
export async function authProviders({ query, store }: SettingsDeps): Promise<AuthProviderList> {
  const on = new Set((await query<Row>('select source_id from identity_sign_in_settings')).map((row) => row.source_id));
  return { providers: (await store.sources()).filter(({ id }) => on.has(id as SourceId)).map(({ id, name }) => ({ id, name, kind: 'gitlab' as const })) };
}

/** @throws Problem 404 */
export async function signInSettings(deps: SettingsDeps, source: SourceId): Promise<SignInSettings> {
  const row = await rowOf(deps, source);
  if (row === undefined) throw off(source);
  return settingsOf(deps, row);
}

interface Decision { readonly clientId: string; readonly clientSecret?: string | undefined; readonly unknownUsers: UnknownUsers; readonly ownAccess: boolean; readonly by: By }

/** From now on people sign in by that GitLab; said again, with what is said now. @throws Problem 404, 422 */
export async function decideSignIn(deps: SettingsDeps, source: SourceId, { clientId, clientSecret, unknownUsers, ownAccess, by }: Decision): Promise<SignInSettings> {
  if (!(await isActive(deps, source))) throw new Problem(404, 'source-unknown', `There is no source ${source}. GET /v1/sources lists them.`);
  if (clientSecret === undefined && (await deps.vault.get(secretOf(source))) === undefined) {
    throw new Problem(422, 'body-invalid', 'No secret is known for it yet. GitLab shows it together with the application id.', { errors: [{ pointer: '/clientSecret', detail: 'missing' }] });
  }
  if (clientSecret !== undefined) await deps.vault.put(secretOf(source), clientSecret);
  const [row] = await recorded<Row>(deps.query, {
    sql: `insert into identity_sign_in_settings (source_id, client_id, unknown_users, own_access, changed_at) values ($1, $2, $3, $4, $5)
      on conflict (source_id) do update set client_id = excluded.client_id, unknown_users = excluded.unknown_users, own_access = excluded.own_access, changed_at = excluded.changed_at returning *`,
    values: [source, clientId, unknownUsers, ownAccess, deps.now()],
  }, { by, acts: ['gitlab-sign-in-set'], about: 'source_id', at: deps.now() });
  if (row === undefined) throw new Error('the settings of a sign-in were not written');
  if (!ownAccess) await forgetGrantsAt(deps, source);
  return settingsOf(deps, row);
}

/** Nobody signs in by it any more, and sign-ins that were begun end. Who signed in stays so; what they let us see of theirs is forgotten. */
export async function takeSignInBack(deps: SettingsDeps, source: SourceId, by: By): Promise<void> {
  const { query, vault, now } = deps;
  await recorded(query, { sql: 'delete from identity_sign_in_settings where source_id = $1 returning source_id', values: [source] }, { by, acts: ['gitlab-sign-in-off'], about: 'source_id', at: now() });
  await vault.delete(secretOf(source));
  await forgetGrantsAt(deps, source);
}

export interface SignInBy { readonly client: SignInClient; readonly unknownUsers: UnknownUsers }

/** @throws Problem 404: also of a source that there is not, or not any more */
export async function signInBy(deps: SettingsDeps, source: SourceId): Promise<SignInBy> {
  const row = await rowOf(deps, source);
  if (row === undefined || !(await isActive(deps, source))) throw off(source);
  const [access, clientSecret] = await Promise.all([deps.sources.access(source), deps.vault.get(secretOf(source))]);
  if (access === undefined || clientSecret === undefined) throw off(source);
  const { token: _token, ...way } = access;
  return { client: { access: way, clientId: row.client_id, clientSecret, redirectUri: redirectUriOf(deps, source), ownAccess: row.own_access }, unknownUsers: row.unknown_users };
}

/** One for each GitLab, so that what one answers is never taken for another's. */
const redirectUriOf = ({ issuer }: SettingsDeps, source: SourceId) => `${issuer.replace(/\/$/, '')}/v1/auth/gitlab/${source}/callback`;

const rowOf = async ({ query }: SettingsDeps, source: SourceId) => (await query<Row>('select * from identity_sign_in_settings where source_id = $1', [source]))[0];

/** A source that was removed is not. */
export const isActive = async ({ log }: Pick<SettingsDeps, 'log'>, source: SourceId) => (await readState(log, sourceStream(source), applyToSource))?.standing === 'active';

const off = (source: SourceId) => new Problem(404, 'sign-in-unknown', `Nobody signs in by ${source}. GET /v1/auth/providers lists by what people do.`);

async function settingsOf(deps: SettingsDeps, { source_id: sourceId, client_id: clientId, unknown_users: unknownUsers, own_access: ownAccess, changed_at: changedAt }: Row): Promise<SignInSettings> {
  return { sourceId, clientId, unknownUsers, ownAccess, grants: await countGrants(deps, sourceId), redirectUri: redirectUriOf(deps, sourceId), changedAt: changedAt.toISOString() };
}
