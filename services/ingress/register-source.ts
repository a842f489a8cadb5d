import type { Actor } from '#schemas/events/fact.ts';
import type { Fact } from '#schemas/events/facts.ts';
import type { SourceId } from '#schemas/brand.ts';
import { sourceIdOf, sourceStream } from '#schemas/ids.ts';
import type { RegisterSource } from '#schemas/commands/commands.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';
import type { CheckSourceDeps } from '#shared/sources/check-source.ts';
import type { SourceChecks } from '#shared/sources/source-checks.ts';
import type { SourceRegistry } from '#shared/sources/source-directory.ts';
import { newSigningToken, newWebhookToken } from '#shared/sources/new-webhook-secrets.ts';
import { checkGiven } from './check-given.ts';
import { keyReused } from './command-keys.ts';
import { accessOf } from './source-access.ts';

export interface CommandContext { readonly actor: Actor; readonly key: string }

export interface RegisterSourceDeps extends CheckSourceDeps {
  readonly log: Pick<EventLog, 'append' | 'readStream'>;
  readonly sources: Pick<SourceRegistry, 'save'>;
  readonly checks: Pick<SourceChecks, 'keep'>;
  readonly vault: Pick<SecretVault, 'digest'>;
}

/**
 * A GitLab becomes known, once it took the token. Settings and secrets first, then the fact: what no fact names is used by
 * nobody. @throws Problem | Unavailable
 */
export async function onRegisterSource(deps: RegisterSourceDeps, body: RegisterSource, { actor, key }: CommandContext): Promise<SourceId> {
  const source = sourceIdOf(actor.id, key);
  const digest = deps.vault.digest(JSON.stringify(body));
  const name = body.name ?? new URL(body.baseUrl).host;
  const before = await registeredBy(deps, source);
  if (before !== undefined && before !== digest) throw keyReused(key);
  // The same command again is answered the same, whatever GitLab says by now.
  if (before !== undefined) return source;

  const access = accessOf(body);
  const check = await checkGiven(deps, access, body);
  const isSaved = await deps.sources.save({
    sourceId: source, name, baseUrl: body.baseUrl, caPem: body.caPem ?? null, token: body.token, proxyUrl: body.proxyUrl ?? null, client: access.client ?? null, allowAddresses: access.allowAddresses ?? [], digest,
    webhookToken: body.webhookToken ?? newWebhookToken(),
    signingToken: body.signingToken ?? newSigningToken(),
  });
  if (!isSaved) throw keyReused(key);
  await deps.checks.keep(source, { check, token: body.token, at: deps.now() });
  const fact = newFact({
    type: 'source.registered', key: source, actor, correlationId: key, causationId: null, time: deps.now(),
    data: { sourceId: source, name, baseUrl: body.baseUrl, ...(body.allowAddresses === undefined ? {} : { allowAddresses: body.allowAddresses }), command: { id: key, digest } },
  });
  const outcome = await deps.log.append(sourceStream(source), 'noStream', [fact]);
  if (outcome.kind === 'wrongRevision' && (await registeredBy(deps, source)) !== digest) throw keyReused(key);
  return source;
}

/** Digest of the command that registered it; undefined when none did. */
async function registeredBy({ log }: Pick<RegisterSourceDeps, 'log'>, source: SourceId): Promise<string | undefined> {
  const [first] = await log.readStream(sourceStream(source), { limit: 1 });
  return (first as Fact<'source.registered'> | undefined)?.data.command.digest;
}
