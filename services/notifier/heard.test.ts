import { randomUUID } from 'node:crypto';
import { positionOutside } from '#schemas/positions.ts';
import type { Progress } from '#shared/bus/bus.ts';
import { connectClient, cutClients } from './connected-client.fixture.ts';
import { ANN, createNotifierBench, KEY_A, KEY_B, KEY_C, PROJECT, type NotifierBench } from './notifier-bench.fixture.ts';

// What is told to who is no system admin (I7), over a socket.

afterEach(cutClients);

const [CODEBASE, IN_PROJECT] = [`codebase:${KEY_A}`, `project:${PROJECT}`];
const since = (bench: NotifierBench) => positionOutside(bench.epoch, '' as never);
const quiet = async (client: ReturnType<typeof connectClient>) => {
  client.bench.project();
  await client.notifier.untilTold();
  for (let turn = 0; turn < 20; turn += 1) { client.pipe.read(); await new Promise(setImmediate); }
};

test('what they may not listen to is refused like what is not there, and "all" says whom it is for; the socket stays', async () => {
  const client = connectClient({ principal: ANN });
  await client.bench.append(KEY_A);
  await client.bench.setMember(KEY_A, true);
  client.bench.project();
  const nowhere = randomUUID();
  for (const ch of ['all', CODEBASE, `codebase:${nowhere}`, IN_PROJECT, `project:${nowhere}`]) client.say({ op: 'subscribe', ch, since: ch === 'all' ? undefined : 'not even a position' });
  await client.until(() => client.ofOp('error').length === 5);
  const [all, codebase, noCodebase, project, noProject] = client.ofOp('error').map(({ code, detail }) => ({ code, detail: detail.replace(/[0-9a-f]{8}-[-0-9a-f]{27}/, 'ID') }));
  expect([all?.code, codebase?.code, project?.code]).toEqual(['not-allowed', 'codebase-unknown', 'project-unknown']);
  expect([codebase, project]).toEqual([noCodebase, noProject]);
  expect([client.closed, client.ofOp('subscribed')]).toEqual([[], []]);
});

test('a codebase is told to its readers, without who else reads it; a project to its people, of the codebases that they may read', async () => {
  const client = connectClient({ principal: ANN });
  const { bench } = client;
  await bench.setReads(KEY_A, true);
  const told = [(await bench.setPerson(true)).id, (await bench.setMember(KEY_A, true)).id];
  await bench.setMember(KEY_B, true);
  const facts = [await bench.append(KEY_A), await bench.append(KEY_B), await bench.append(KEY_C), await bench.append(KEY_A)];
  bench.project();
  for (const ch of [CODEBASE, IN_PROJECT]) client.say({ op: 'subscribe', ch, since: since(bench) });
  await client.until(() => client.ofOp('pub').length >= 6);
  facts.push(await bench.append(KEY_B), await bench.append(KEY_A));
  await quiet(client);
  const ofA = facts.filter(({ key }) => key === KEY_A).map(({ id }) => id);
  const on = (ch: string) => client.ofOp('pub').filter((frame) => frame.ch === ch).map(({ id }) => id);
  expect([on(CODEBASE), on(IN_PROJECT)]).toEqual([ofA, [...told, ...ofA]]);
});

test('with the fact that takes the right the channel ends, and says so; nothing behind it is told, and it can be asked for again when it is given back', async () => {
  const client = connectClient({ principal: ANN });
  const { bench } = client;
  await bench.setReads(KEY_A, true);
  bench.project();
  client.say({ op: 'subscribe', ch: CODEBASE });
  await client.until(() => client.ofOp('subscribed').length === 1);
  const before = await bench.append(KEY_A);
  await quiet(client);
  await bench.setReads(KEY_A, false);
  await bench.append(KEY_A);
  await quiet(client);
  expect(client.ofOp('pub').map(({ id }) => id)).toEqual([before.id]);
  expect(client.ofOp('error')).toMatchObject([{ code: 'access-lost', ch: CODEBASE }]);
  client.say({ op: 'subscribe', ch: CODEBASE, since: client.ofOp('pub')[0]?.position });
  await client.until(() => client.ofOp('error').length === 2);
  expect(client.ofOp('error')[1]).toMatchObject({ code: 'codebase-unknown' });
  await bench.setReads(KEY_A, true);
  bench.project();
  // Who may read it now may read all of it.
  client.say({ op: 'subscribe', ch: CODEBASE, since: client.ofOp('pub')[0]?.position });
  await client.until(() => client.ofOp('pub').length === 2);
  expect(client.closed).toEqual([]);
});

test('who reads a codebase of the project no longer stays in the project, and is told nothing more of it; who leaves the project is told nothing more at all', async () => {
  const client = connectClient({ principal: ANN });
  const { bench } = client;
  for (const key of [KEY_A, KEY_B]) { await bench.setReads(key, true); await bench.setMember(key, true); }
  await bench.setPerson(true);
  bench.project();
  client.say({ op: 'subscribe', ch: IN_PROJECT });
  await client.until(() => client.ofOp('subscribed').length === 1);
  await bench.setReads(KEY_A, false);
  await bench.append(KEY_A);
  const told = await bench.append(KEY_B);
  await quiet(client);
  expect([client.ofOp('pub').map(({ id }) => id), client.ofOp('error')]).toEqual([[told.id], []]);
  await bench.setPerson(false);
  await bench.append(KEY_B);
  await quiet(client);
  expect(client.ofOp('pub').length).toBe(1);
  expect(client.ofOp('error')).toMatchObject([{ code: 'access-lost', ch: IN_PROJECT }]);
});

test('a page that was read before the right was taken is not told after it', async () => {
  const bench = createNotifierBench({ recentMax: 1 });
  await bench.setReads(KEY_A, true);
  for (let count = 0; count < 5; count += 1) await bench.append(KEY_A);
  bench.project();
  const client = connectClient({ bench, principal: ANN });
  const pause = bench.pause;
  let isTaken = false;
  bench.pause = async () => {
    if (bench.pagesRead === 2 && !isTaken) { isTaken = true; await bench.setReads(KEY_A, false); bench.project(); }
    await pause();
  };
  client.say({ op: 'subscribe', ch: CODEBASE, since: since(bench) });
  await client.until(() => client.ofOp('error').length === 1);
  expect([isTaken, client.ofOp('subscribed').length, client.ofOp('pub')]).toEqual([true, 1, []]);
  expect(client.ofOp('error')[0]?.code).toBe('access-lost');
});

test('what no fact tells is learnt by looking again; progress is of what may be read', async () => {
  const client = connectClient({ principal: ANN });
  const { bench, notifier } = client;
  await bench.setReads(KEY_A, true);
  await bench.setPerson(true);
  for (const key of [KEY_A, KEY_B]) await bench.setMember(key, true);
  bench.project();
  for (const ch of [CODEBASE, IN_PROJECT]) client.say({ op: 'subscribe', ch });
  await client.until(() => client.ofOp('subscribed').length === 2);
  await quiet(client);
  for (const codebaseId of [KEY_A, KEY_B, KEY_C]) notifier.fanOut.progress({ syncId: 's', codebaseId } as unknown as Progress);
  await quiet(client);
  expect(client.ofOp('progress').map(({ ch, progress }) => [ch, (progress as Progress).codebaseId])).toEqual([[CODEBASE, KEY_A], [IN_PROJECT, KEY_A]]);
  bench.rightsOf = async () => new Map();
  await notifier.fanOut.rights.look();
  notifier.fanOut.progress({ syncId: 's', codebaseId: KEY_A } as unknown as Progress);
  await quiet(client);
  expect([client.ofOp('error').map(({ code, ch }) => [code, ch]), client.ofOp('progress').length]).toEqual([[['access-lost', CODEBASE], ['access-lost', IN_PROJECT]], 2]);
});
