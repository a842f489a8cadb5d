import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startKafka } from '../../infra/servers/kafka.ts';
import { freePort, type RunningServer } from '../../infra/servers/server.ts';
import { openRelayWorld, type RelayProcess, type RelayWorld } from './relay-world.ts';
import { describeWith } from './stack-test.ts';

/** A short form; `RELAY_KILLS=200` for the long one. */
const KILLS = Number(process.env['RELAY_KILLS'] ?? 5);
/** Each lasts as long as a lease, and a new relay's start. `RELAY_STOPS=20` for the long one. */
const STOPS = Number(process.env['RELAY_STOPS'] ?? 2);
const MINUTES_MAX = 60;

describeWith('TEKAI_TEST_KAFKA', 'the relay on Kafka', (broker) => {
  let world: RelayWorld;
  let server: RunningServer | undefined;
  const folders: string[] = [];
  const open = async (url = broker) => { world = await openRelayWorld(`kafka://${url}?topics=test-${randomUUID()}`); };
  afterEach(async () => {
    await world.close();
    await server?.kill();
    server = undefined;
    await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
  });
  /** A consumer gets the log, whatever stands there twice. */
  const expectExact = async () => {
    const comparison = await world.compare();
    expect(comparison).toMatchObject({ missing: 0, doubled: 0, inversions: 0 });
    return comparison;
  };

  test(`killed ${KILLS} times at any moment, with another standing by: nothing missing, nothing twice, nothing in another order`, async () => {
    await open();
    const relays: RelayProcess[] = [await world.startRelay(), await world.startRelay()];
    const all = [...relays];
    for (let kill = 0; kill < KILLS; kill += 1) {
      const appending = world.append(4_000);
      const writing = await Promise.race(relays.map(async (relay) => { await relay.until((line) => line.writing !== undefined); return relay; }));
      for (let more = Math.floor(Math.random() * 6); more > 0; more -= 1) await writing.until((line) => line.writing !== undefined);
      await sleep(Math.random() * 25);
      await writing.program.kill();
      const next = await world.startRelay();
      all.push(next);
      relays.splice(relays.indexOf(writing), 1, next);
      await appending;
    }
    await world.relayed();
    const { facts, repeated } = await expectExact();
    // Else each died right behind a checkpoint, and nothing was shown.
    expect(all.flatMap(({ said }) => said).filter(({ ahead = 0 }) => ahead > 0).length).toBeGreaterThan(0);
    process.stderr.write(`${KILLS} kills, ${facts} facts: ${repeated} stand there twice\n`);
  }, MINUTES_MAX * 60_000);

  test('stopped longer than its lease with a batch in hand, and continued when another has gone on: what it writes late is passed over', async () => {
    await open();
    await world.append(3_000);
    const zombie = await world.startRelay(3);
    for (let batch = 0; batch < 3; batch += 1) await zombie.until((line) => line.writing !== undefined);
    // It is stopped now, and its connection stands: only time ends its lease.
    const other = await world.startRelay();
    await world.append(2_000);
    await other.until((line) => line.opened !== undefined);
    await world.relayed();
    zombie.program.child.kill('SIGCONT');
    await world.append(1_000);
    await world.relayed();
    // Where the late batch stands the other finds another's records: it looks anew, and goes on.
    await world.append(3_000);
    await world.relayed();
    await zombie.program.stop();
    const { repeated } = await expectExact();
    expect(repeated).toBeGreaterThan(0);
    process.stderr.write(`a zombie's batch: ${repeated} stand there twice\n`);
  }, 180_000);

  test(`two at once: ${STOPS} times who writes is stopped longer than its lease, and continued while the other writes and is killed: exact`, async () => {
    await open();
    let relays: RelayProcess[] = [await world.startRelay(), await world.startRelay()];
    for (let stop = 0; stop < STOPS; stop += 1) {
      const appending = world.append(3_000);
      const stopped = await Promise.race(relays.map(async (relay) => { await relay.until((line) => line.writing !== undefined); return relay; }));
      const other = relays.find((relay) => relay !== stopped)!;
      await sleep(Math.random() * 25);
      stopped.program.child.kill('SIGSTOP');
      await appending;
      const more = world.append(3_000);
      // Either: who was not the first to write is still listened to for a {writing}, which takes every second line.
      await other.until((line) => line.writing !== undefined || line.wrote !== undefined);
      stopped.program.child.kill('SIGCONT');
      await sleep(Math.random() * 25);
      await other.program.kill();
      relays = [stopped, await world.startRelay()];
      await more;
    }
    await world.relayed();
    const { facts, repeated } = await expectExact();
    process.stderr.write(`${STOPS} stops and kills, ${facts} facts: ${repeated} stand there twice\n`);
  }, MINUTES_MAX * 60_000);

  test('the broker is killed and comes again, three times: the relay goes on by itself', async () => {
    const [port, controller] = [await freePort(), await freePort()];
    const directory = await mkdtemp(path.join(tmpdir(), 'tekai-broker-'));
    folders.push(directory);
    const startBroker = async () => { server = await startKafka({ directory, port, node: { id: 1, controllers: [{ id: 1, port: controller }] } }); };
    await startBroker();
    await open(`127.0.0.1:${port}`);
    const relay = await world.startRelay();
    for (let kill = 0; kill < 3; kill += 1) {
      const appending = world.append(3_000);
      await relay.until((line) => line.writing !== undefined);
      await sleep(Math.random() * 40);
      await server!.kill();
      await appending;
      await startBroker();
      await relay.until((line) => line.wrote !== undefined);
    }
    await world.relayed();
    const { facts, repeated } = await expectExact();
    process.stderr.write(`3 kills of the broker, ${facts} facts: ${repeated} stand there twice\n`);
  }, 300_000);

  test('many big facts of one key are taken: 500 of 3 KiB, 500 of 8 KiB, three of nearly 1 MiB', async () => {
    await open();
    await world.append(500, { key: 'one', bytes: 3_072 });
    await world.append(500, { key: 'one', bytes: 8_192 });
    await world.append(3, { key: 'one', bytes: 1_000_000 });
    await world.startRelay();
    await world.relayed();
    expect((await expectExact()).repeated).toBe(0);
  }, 120_000);

  test('told to stop it remembers where it is: the next one has nothing to look through, and writes nothing twice', async () => {
    await open();
    for (let turn = 0; turn < 3; turn += 1) {
      await world.append(700);
      const relay = await world.startRelay();
      await world.relayed();
      expect(await relay.program.stop()).toBe(0);
    }
    expect((await expectExact()).repeated).toBe(0);
  }, 120_000);
});
