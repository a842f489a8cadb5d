import { createHash, randomUUID } from 'node:crypto';
import type { Request, Response } from 'express';
import { sourceId, type SourceId } from '#schemas/brand.ts';
import { codebaseIdOf, deliveryIdOf, deliveryStream } from '#schemas/ids.ts';
import type { Metrics } from '#shared/runtime/metrics.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Problem } from '#shared/runtime/problem.ts';
import type { Tracing } from '#shared/runtime/tracing.ts';
import type { WebhookSecrets } from '#shared/sources/source-directory.ts';
import type { Arrival, Acceptance } from './acceptance.ts';
import type { KnownCodebases } from './known-codebases.ts';
import type { KnownSecrets } from './known-secrets.ts';
import { translateDelivery, type Meaning } from './translate-delivery.ts';
import { verifyDelivery, type Headers } from './verify-delivery.ts';

/** What GitLab itself sends at most; larger payloads it does not even try. */
export const DELIVERY_BYTES_MAX = 25 * 1_048_576;

/** Kept with the body. Not the token, not the signature. */
const HEADERS_KEPT = ['content-type', 'user-agent', 'x-gitlab-event', 'x-gitlab-event-uuid', 'x-gitlab-webhook-uuid', 'x-gitlab-instance', 'idempotency-key', 'webhook-id', 'webhook-timestamp'];

export interface ReceiveDeps {
  readonly acceptance: Pick<Acceptance, 'accept'>;
  readonly secrets: KnownSecrets;
  readonly codebases: KnownCodebases;
  readonly metrics: Pick<Metrics, 'deliveries'>;
  readonly tracing: Pick<Tracing, 'inSpan'>;
  now(): Date;
}

/** `POST /webhooks/gitlab/{source}`: authentic deliveries are always answered 2xx once durable, whatever they say. */
export async function receiveDelivery(deps: ReceiveDeps, request: Request, response: Response): Promise<void> {
  const source = sourceId.safeParse(request.params['source']);
  const secrets = source.success ? await deps.secrets.of(source.data) : undefined;
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const verdictBy = (good: WebhookSecrets | undefined) => (good === undefined ? undefined : verifyDelivery({ headers: request.headers, body, secrets: good, now: deps.now() }));
  let verdict = verdictBy(secrets);
  // GitLab may have newer ones than are known here.
  if (source.success && verdict?.kind === 'refused') verdict = verdictBy(await deps.secrets.afresh(source.data));
  if (!source.success || verdict?.kind !== 'authentic') {
    deps.metrics.deliveries.inc({ outcome: 'refused' });
    throw new Problem(401, 'not-authentic', 'This delivery is not signed, or carries no secret, that belongs to this address. Compare the webhook\'s URL and secret in GitLab with those of the source.');
  }
  const meaning = translateDelivery(body);
  const isDoubted = !verdict.isSigned && (await mustBeSigned(deps, source.data, meaning));
  const key = deliveryKey(request.headers, verdict.isSigned);
  const deliveryId = deliveryIdOf(source.data, key);
  // A stranger's request begins no trace, and goes on from none.
  const accepted = await deps.tracing.inSpan({ name: 'webhook delivery', traceparent: headerOf(request.headers, 'traceparent'), attributes: { 'tekai.source': source.data, 'tekai.delivery': deliveryId } }, async (note) => {
    const arrival = await arrivalOf(deps, { source: source.data, key, deliveryId, body, headers: request.headers, meaning, isDoubted });
    note({ 'tekai.fact.id': arrival.fact.id, 'tekai.fact.type': arrival.fact.type, 'tekai.key': arrival.fact.key });
    const outcome = await deps.acceptance.accept(arrival);
    note({ 'tekai.outcome': outcome.kind });
    return outcome;
  });
  deps.metrics.deliveries.inc({ outcome: accepted.kind });
  if (accepted.kind === 'full') throw new Problem(503, 'spool-full', 'The log is away and the spool is full; nothing was taken.', { retryAfterS: accepted.retryAfterS });
  response.status(accepted.kind === 'duplicate' ? 200 : 202).json({ deliveryId, duplicate: accepted.kind === 'duplicate' });
}

/**
 * A push by the secret token alone, of a project whose webhook signs, is refused: the token goes along with every delivery, so who has
 * read one could speak for the project. True: while the log is away nobody can know; it is taken, and decided when it is written down.
 * What the body says is used for nothing but to refuse. @throws Problem 401
 */
async function mustBeSigned({ codebases, metrics }: ReceiveDeps, source: SourceId, meaning: Meaning): Promise<boolean> {
  if (meaning.kind !== 'push') return false;
  const codebase = codebaseIdOf(source, meaning.project);
  let { isSigned } = await codebases.of(codebase);
  // It may have been made anew without a signing token a moment ago.
  if (isSigned === true) ({ isSigned } = await codebases.afresh(codebase));
  if (isSigned !== true) return isSigned === undefined;
  metrics.deliveries.inc({ outcome: 'refused' });
  throw new Problem(401, 'not-signed', `The webhook of GitLab project ${meaning.project} signs what it sends, and this is not signed. If it comes from another webhook, set the source's signing token in that, or let it send no pushes of this project.`);
}

/** With neither header every arrival is its own delivery: a hint taken twice costs one skipped sync, one dropped is a lost push. */
function deliveryKey(headers: Headers, isSigned: boolean): string {
  const key = headerOf(headers, isSigned ? 'webhook-id' : 'idempotency-key');
  return key !== undefined && key !== '' ? key : randomUUID();
}

function headerOf(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

interface Received { source: SourceId; key: string; deliveryId: string; body: Buffer; headers: Headers; meaning: Meaning; isDoubted: boolean }

async function arrivalOf(deps: ReceiveDeps, received: Received): Promise<Arrival> {
  const { source, deliveryId, body } = received;
  const meaning = await withoutStrangers(deps, source, received.meaning);
  const common = { deliveryId, sourceId: source, body: { bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') } };
  const parts = { actor: { kind: 'gitlab', id: source } as const, correlationId: deliveryId, causationId: null, time: deps.now() };
  return {
    stream: deliveryStream(source, received.key),
    fact: factOf(meaning, source, common, parts),
    delivery: { deliveryId, sourceId: source, receivedAt: parts.time.toISOString(), headers: keptOf(received.headers), body },
    ...(received.isDoubted ? { isDoubted: true } : {}),
  };
}

/** A push to a project that nobody registered asks for no work. */
async function withoutStrangers(deps: ReceiveDeps, source: SourceId, meaning: Meaning): Promise<Meaning> {
  if (meaning.kind !== 'push') return meaning;
  switch ((await deps.codebases.of(codebaseIdOf(source, meaning.project))).standing) {
    case 'unregistered': return { kind: 'ignored', reason: `GitLab project ${meaning.project} is not registered as a codebase` };
    case 'removed': return { kind: 'ignored', reason: `the codebase of GitLab project ${meaning.project} was removed; restoring it looks at every followed ref` };
    case 'deleted': return { kind: 'ignored', reason: `the codebase of GitLab project ${meaning.project} was deleted` };
    // While the log is away nobody knows: then it is taken, and the fetcher, who looks later, decides. It also says why what is archived is not synced.
    case 'active':
    case 'archived':
    case 'unknown': return meaning;
  }
}

type Common = { deliveryId: string; sourceId: SourceId; body: { bytes: number; sha256: string } };
type Parts = { actor: { kind: 'gitlab'; id: string }; correlationId: string; causationId: null; time: Date };

function factOf(meaning: Meaning, source: SourceId, common: Common, parts: Parts): Arrival['fact'] {
  switch (meaning.kind) {
    case 'push': {
      const codebaseId = codebaseIdOf(source, meaning.project);
      return newFact({ type: 'push.received', key: codebaseId, data: { ...common, codebaseId, gitlabProjectId: meaning.project, refs: [...meaning.refs] }, ...parts });
    }
    case 'hint':
      return newFact({ type: 'gitlab.hinted', key: source, data: { ...common, about: meaning.about, event: meaning.event, gitlabProjectId: meaning.project }, ...parts });
    case 'ignored':
      return newFact({ type: 'delivery.ignored', key: source, data: { ...common, reason: meaning.reason.slice(0, 500) }, ...parts });
    default: return meaning satisfies never;
  }
}

function keptOf(headers: Headers): Record<string, string> {
  return Object.fromEntries(HEADERS_KEPT.flatMap((name) => {
    const value = headers[name];
    // NUL cannot stand in a text column; HTTP does not allow it anyway.
    return typeof value === 'string' ? [[name, value.slice(0, 1_000)]] : [];
  }));
}
