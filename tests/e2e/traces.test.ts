import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { listenTo } from '../harness/live-ears.ts';
import { startOtlpReceiver, type OtlpReceiver } from '../harness/otlp-receiver.ts';
import { startSystem, until, type System } from '../harness/system.ts';
import { expectGivenTraceContinued, expectPushTraced, followOne, push, traceparentsOf } from '../harness/traced-push.ts';

const webhookToken = 'canary-of-a-webhook-token';
const signingToken = `whsec_${Buffer.alloc(32, 'canary').toString('base64')}`;
const COLLECTOR_KEY = 'canary-of-a-collector-key';
const settings: Record<string, string> = { TEKAI_LOG_LEVEL: 'debug' };

let receiver: OtlpReceiver;
let system: System;
beforeAll(async () => {
  receiver = await startOtlpReceiver();
  system = await startSystem({ webhookToken, signingToken, settings, preload: pathToFileURL(path.resolve('tests/harness/telemetry-modules.mjs')).href });
});
afterAll(async () => { await system.stop(); await receiver.stop(); });

const modulesLoaded = () => [...system.log().matchAll(/^modules of telemetry: (\d+)$/gm)].map(([, count]) => Number(count));

test('off, nothing of it is loaded and no fact speaks of it; on, a push is one trace to the live frame; what was traced says so for ever', async () => {
  const followed = await followOne(system, 'traced');
  await push(system, followed, 'untraced');
  expect(new Set(await traceparentsOf(system, followed))).toEqual(new Set([undefined]));
  await system.kill('SIGTERM');
  // The engine and its workers.
  expect(modulesLoaded()).toEqual([0, 0]);

  Object.assign(settings, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer ${COLLECTOR_KEY}`, OTEL_BSP_SCHEDULE_DELAY: '100' });
  await system.startEngine();
  const before = (await system.ask('GET', '/v1/events?limit=1')).json<{ position: string }>().position;
  const traceId = await expectPushTraced({ system, receiver, followed, signingToken });
  await expectGivenTraceContinued({ system, receiver, followed, signingToken });
  expect(new Set(receiver.spans.map(({ resource }) => resource['process.pid'])).size).toBe(2);
  // With the level that says each step: of both processes.
  for (const step of ['appended', 'scanned']) expect(system.log()).toMatch(new RegExp(`"trace_id":"${traceId}","span_id":"[0-9a-f]{16}","step":"${step}"`));
  await system.kill('SIGTERM');
  expect(modulesLoaded().slice(2).every((count) => count > 0)).toBe(true);
  expectNoSecretTold();

  delete settings['OTEL_EXPORTER_OTLP_ENDPOINT'];
  await system.startEngine();
  const ears = await listenTo(system, `codebase:${followed.codebase}`, before);
  for (const told of [ears.bySocket, ears.byStream]) {
    await until('the past is told as it was', () => told.filter(({ traceparent }) => traceparent?.includes(traceId)).length === 4);
  }
  ears.stop();
}, 240_000);

/** Neither to whoever takes the traces, nor in the log. */
function expectNoSecretTold(): void {
  for (const secret of [webhookToken, signingToken, COLLECTOR_KEY, system.gitlab.token, system.token]) {
    expect(receiver.bytes().includes(secret)).toBe(false);
    expect(system.log()).not.toContain(secret);
  }
}
