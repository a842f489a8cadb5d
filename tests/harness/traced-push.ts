import { randomUUID } from 'node:crypto';
import { listenTo, type LiveEars } from './live-ears.ts';
import type { OtlpReceiver, SentSpan } from './otlp-receiver.ts';
import { makeRepository, type Repository } from './repository.ts';
import { signedHeaders } from './signed-delivery.ts';
import { eventsOf, until, untilStored, type System } from './system.ts';

const MAIN = 'refs/heads/main';
const PARENT = '00f067aa0ba902b7';
/** The facts that one push leads to. */
const FACTS = ['push.received', 'codebase.fetched', 'codebase.scanned', 'codebase.stored'];

export interface Followed { readonly codebase: string; readonly repository: Repository; readonly project: number }

export async function followOne(system: System, path: string): Promise<Followed> {
  const repository = await makeRepository();
  const first = repository.commit('main', [{ path: 'a', content: '0' }]);
  const { id: project } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path, import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote(`root/${path}`));
  const codebase = await system.follow(project);
  await untilStored(system, codebase, MAIN, first);
  return { codebase, repository, project };
}

export async function push(system: System, { codebase, repository }: Followed, content: string): Promise<string> {
  const commit = repository.commit('main', [{ path: 'a', content }]);
  repository.git('push', '-q', 'origin', 'main');
  await untilStored(system, codebase, MAIN, commit);
  return commit;
}

interface Traced { readonly system: System; readonly receiver: OtlpReceiver; readonly followed: Followed; readonly signingToken: string }

/** A push is one trace: from GitLab's delivery over every service to what is told, and its spans hang together. Gives its id. */
export async function expectPushTraced({ system, receiver, followed }: Traced): Promise<string> {
  const ears = await listenTo(system, `codebase:${followed.codebase}`);
  await push(system, followed, randomUUID());
  const traceId = await expectToldInOneTrace(ears, FACTS);
  const spans = await spansOfTrace(receiver, traceId, [...FACTS.flatMap(() => ['notify', 'project']), 'fetch', 'scan', 'store', 'webhook delivery']);
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const above = (span: SentSpan): string[] => [span.name, ...(byId.has(span.parentSpanId) ? above(byId.get(span.parentSpanId) as SentSpan) : span.parentSpanId === '' ? [] : ['?'])];
  expect(spans.filter(({ name }) => name === 'store').map(above)).toEqual([['store', 'scan', 'fetch', 'webhook delivery']]);
  for (const name of ['project', 'notify']) {
    expect(spans.filter((span) => span.name === name).map((span) => [span.attributes['tekai.fact.type'], above(span).slice(1).join(' < ')]).sort()).toEqual([
      ['codebase.fetched', 'fetch < webhook delivery'], ['codebase.scanned', 'scan < fetch < webhook delivery'],
      ['codebase.stored', 'store < scan < fetch < webhook delivery'], ['push.received', 'webhook delivery']]);
  }
  ears.stop();
  return traceId;
}

/** Whoever sends a delivery or a command may have begun the trace. */
export async function expectGivenTraceContinued({ system, receiver, followed, signingToken }: Traced): Promise<void> {
  const ears = await listenTo(system, `codebase:${followed.codebase}`);
  const given = () => { const traceId = randomUUID().replaceAll('-', ''); return { traceId, headers: { traceparent: `00-${traceId}-${PARENT}-01` } }; };
  const [delivery, command] = [given(), given()];
  const body = JSON.stringify({ object_kind: 'push', project_id: followed.project, ref: MAIN, before: '0'.repeat(40), after: followed.repository.git('rev-parse', 'main').trim(), project: { id: followed.project } });
  const taken = await system.ask('POST', `/webhooks/gitlab/${await system.sourceId()}`, { raw: Buffer.from(body), headers: { ...signedHeaders(signingToken, body), ...delivery.headers } });
  expect(taken.status).toBe(202);
  await expectToldInOneTrace(ears, ['push.received', 'sync.skipped'], delivery.traceId);
  const asked = await system.ask('POST', `/v1/codebases/${followed.codebase}/syncs`, { body: {}, headers: command.headers });
  expect(asked.status).toBe(202);
  await expectToldInOneTrace(ears, ['sync.requested', 'sync.skipped'], command.traceId);
  for (const [name, { traceId }] of [['webhook delivery', delivery], ['command', command]] as const) {
    const spans = await spansOfTrace(receiver, traceId, [name]);
    expect(spans.find((span) => span.name === name)).toMatchObject({ parentSpanId: PARENT });
  }
  ears.stop();
}

/** Waits until both were told facts of these types in the last trace that they were told of, or in the one that is meant. */
async function expectToldInOneTrace({ bySocket, byStream }: LiveEars, types: readonly string[], meant?: string): Promise<string> {
  const traceOf = (one: { traceparent?: string | undefined }) => one.traceparent?.split('-')[1];
  return until(`${types.join(', ')} are told in one trace`, () => {
    const traceId = meant ?? traceOf(byStream.find(({ type }) => type === types.at(-1)) ?? {});
    const ofTrace = (told: LiveEars['bySocket']) => told.filter((one) => traceOf(one) === traceId && types.includes(one.type)).map(({ type }) => type);
    return traceId !== undefined && [bySocket, byStream].every((told) => JSON.stringify(ofTrace(told)) === JSON.stringify(types)) && traceId;
  });
}

/** Once at least these have come. */
async function spansOfTrace({ spans }: OtlpReceiver, traceId: string, names: readonly string[]): Promise<SentSpan[]> {
  return until(`the spans of ${traceId}: ${names.join(', ')}`, () => {
    const found = spans.filter((span) => span.traceId === traceId);
    const left = [...names];
    for (const { name } of found) if (left.includes(name)) left.splice(left.indexOf(name), 1);
    return left.length === 0 && found;
  });
}

/** Of the facts of a codebase, as the log has them. */
export async function traceparentsOf(system: System, { codebase }: Followed): Promise<(string | undefined)[]> {
  return (await eventsOf(system, `key=${codebase}`)).map((fact) => (fact as { traceparent?: string }).traceparent);
}
