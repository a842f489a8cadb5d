import { randomUUID } from 'node:crypto';
import type { FactId } from '#schemas/brand.ts';
import { startOtlpReceiver, type OtlpReceiver } from '../../tests/harness/otlp-receiver.ts';
import { spanContextOf, startOtlpTracing } from './otlp-tracing.ts';
import type { TracedFact, Tracing } from './tracing.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const traceparent = `00-${TRACE}-${PARENT}-01`;

let receiver: OtlpReceiver;
let tracing: Tracing;
const open = (settings: Record<string, string> = {}) => {
  for (const name of Object.keys(process.env).filter((one) => one.startsWith('OTEL_'))) delete process.env[name];
  Object.assign(process.env, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, ...settings });
  tracing = startOtlpTracing();
};
beforeEach(async () => { receiver = await startOtlpReceiver(); open(); });
afterEach(async () => { await tracing.close(); await receiver.stop(); });

/** What was sent, once all was. */
async function sent() {
  await tracing.close();
  return receiver.spans;
}

test('a span goes on from the one that it is told of, and what is made in it goes on from there', async () => {
  let within: string | undefined;
  await tracing.inSpan({ name: 'fetch', traceparent, attributes: { 'tekai.key': 'k' } }, async (note) => {
    await Promise.resolve();
    within = tracing.traceparent();
    note({ 'tekai.outcome': 'done' });
  });
  expect(tracing.traceparent()).toBeUndefined();
  const [span] = await sent();
  expect(span).toMatchObject({ name: 'fetch', traceId: TRACE, parentSpanId: PARENT, isError: false, attributes: { 'tekai.key': 'k', 'tekai.outcome': 'done' } });
  expect(within).toBe(`00-${TRACE}-${span?.spanId}-01`);
});

test('a log line is told the trace and the span that it is written in, and else nothing', async () => {
  expect(tracing.logFields()).toEqual({});
  const fields = await tracing.inSpan({ name: 'fetch', traceparent }, async () => tracing.logFields());
  expect(fields).toEqual({ trace_id: TRACE, span_id: (await sent())[0]?.spanId });
});

test('where the parent is not sampled nothing is sent, and that is said to who comes after', async () => {
  const within = await tracing.inSpan({ name: 'fetch', traceparent: `00-${TRACE}-${PARENT}-00` }, async () => tracing.traceparent());
  expect(within).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
  expect(await sent()).toEqual([]);
});

test('how many traces begin is what the variables of OpenTelemetry say; one that began elsewhere goes on', async () => {
  await tracing.close();
  open({ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0', OTEL_SERVICE_NAME: 'tekai-eu' });
  await tracing.inSpan({ name: 'webhook delivery', traceparent: undefined }, async () => undefined);
  await tracing.inSpan({ name: 'webhook delivery', traceparent }, async () => undefined);
  expect(await sent()).toEqual([expect.objectContaining({ traceId: TRACE, resource: expect.objectContaining({ 'service.name': 'tekai-eu' }) as object })]);
});

test.each(['', 'x', `00-${'0'.repeat(32)}-${PARENT}-01`, `00-${TRACE}-${'0'.repeat(16)}-01`, `ff-${TRACE}-${PARENT}-01`, `${traceparent}-more`, traceparent.toUpperCase(), ` ${traceparent}`])(
  'what is no traceparent begins a trace: %j', (text) => { expect(spanContextOf(text)).toBeUndefined(); });

test('of a later version of traceparent what is known is taken', () => {
  expect(spanContextOf(`01-${TRACE}-${PARENT}-03-more`)).toMatchObject({ traceId: TRACE, spanId: PARENT, traceFlags: 1 });
});

test('each fact of a page has a span in its own trace; facts without one, and facts of long ago, have none', async () => {
  const fact = (more: Partial<TracedFact>): TracedFact => ({ id: randomUUID() as FactId, type: 'push.received', key: 'k', time: new Date().toISOString(), ...more });
  const other = `00-${'a'.repeat(32)}-${PARENT}-01`;
  const page = [fact({ traceparent }), fact({}), fact({ traceparent: other }), fact({ traceparent, time: new Date(Date.now() - 7_200_000).toISOString() })];
  expect(await tracing.inSpans('project', page, async () => 'worked')).toBe('worked');
  const spans = await sent();
  expect(spans.map(({ name, traceId, attributes }) => [name, traceId, attributes['tekai.fact.id']])).toEqual([['project', TRACE, page[0]?.id], ['project', 'a'.repeat(32), page[2]?.id]]);
});

test('an error is told by its kind alone: its text may hold what nobody must see', async () => {
  const failing = async () => { throw new RangeError('https://oauth2:canary-in-an-error@gitlab'); };
  await expect(tracing.inSpan({ name: 'fetch', traceparent }, failing)).rejects.toThrow(RangeError);
  await expect(tracing.inSpans('project', [], failing)).rejects.toThrow(RangeError);
  expect(await sent()).toEqual([expect.objectContaining({ isError: true, attributes: { 'error.type': 'RangeError' } })]);
  expect(receiver.bytes().includes('canary')).toBe(false);
});

test('of the process its id and name are told, and not its command line, folders, host or account', async () => {
  await tracing.inSpan({ name: 'fetch', traceparent }, async () => undefined);
  expect((await sent())[0]?.resource).toEqual({ 'service.name': 'tekai', 'process.pid': process.pid });
});

test('where nobody takes the traces the work goes on, and a stop is not held up', async () => {
  await receiver.stop();
  expect(await tracing.inSpan({ name: 'fetch', traceparent }, async () => 'worked')).toBe('worked');
  await tracing.close();
  receiver = await startOtlpReceiver();
});
