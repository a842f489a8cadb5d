import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { openWay, refuse, times, type Way } from '../../tests/stack/failing-way.ts';
import { makeBucket, openStore, sleepUntilTold, type S3Bucket } from '../../tests/stack/s3-bucket.ts';
import { describeWith } from '../../tests/stack/stack-test.ts';
import { S3_KEYS } from '../../infra/servers/s3proxy.ts';
import { allOf, blobStoreContract } from './blob-store.contract.ts';
import type { BlobStore } from './blob-store.ts';
import { createS3BlobStore } from './s3-blob-store.ts';
import { BODIES_OPEN_MAX } from './s3-client.ts';

/** With the bucket's name in it: some machines find every name below localhost, others want a line in /etc/hosts. */
const HOST = 'tekai-host-style.localhost';
const isFound = await lookup(HOST).then(() => true, () => false);

describeWith('TEKAI_TEST_S3', 'S3Proxy', (endpoint) => storeTests('S3 (S3Proxy)', endpoint));
describeWith('TEKAI_TEST_SEAWEEDFS', 'SeaweedFS', (endpoint) => {
  storeTests('S3 (SeaweedFS)', endpoint);
  (isFound ? test : test.skip)(`${isFound ? '' : `NOT TRIED, ${HOST} is no name here: `}a bucket may be named in the host`, async () => {
    const { place } = await makeBucket(endpoint.replace('127.0.0.1', 'localhost'), { name: 'tekai-host-style' });
    const [byHost, byPath] = [openStore({ ...place, style: 'host' }), openStore(place)];
    const content = randomBytes(20_000_000);
    await byHost.put('packs/x', Readable.from([content]), { bytes: content.length });
    for (const blobs of [byHost, byPath]) expect((await buffer((await blobs.get('packs/x'))!)).equals(content)).toBe(true);
    await byPath.put('packs/y', Buffer.from('y'), { bytes: 1 });
    expect((await allOf(byHost.list(''))).map(({ name }) => name).sort()).toEqual(['packs/x', 'packs/y']);
    for (const name of ['packs/x', 'packs/y']) expect(await byHost.delete(name)).toBe(true);
    expect(await byPath.size('packs/x')).toBeUndefined();
  });
});

function storeTests(name: string, endpoint: string): void {
  blobStoreContract(name, async () => ({ blobs: createS3BlobStore({ place: (await makeBucket(endpoint)).place, credentials: S3_KEYS, sleep: sleepUntilTold }), close: async () => undefined }));
  blobStoreContract(`${name}, below a prefix`, async () => ({ blobs: openStore((await makeBucket(endpoint, { prefix: 'a/b' })).place), close: async () => undefined }));

  test('two prefixes of one bucket are two stores', async () => {
    const { place } = await makeBucket(endpoint, { prefix: 'one' });
    const [one, two] = [openStore(place), openStore({ ...place, prefix: 'two/' })];
    await one.put('packs/x', Buffer.from('of one'), { bytes: 6 });
    expect(await two.get('packs/x')).toBeUndefined();
    expect(await two.delete('packs/x')).toBe(false);
    expect((await buffer((await one.get('packs/x'))!)).toString()).toBe('of one');
  });

  test('a bucket that is not there, and keys that are wrong, are an outage that says what to do, never an absent blob', async () => {
    const { place } = await makeBucket(endpoint);
    const nowhere = openStore({ ...place, bucket: 'tekai-nowhere' });
    for (const attempt of [() => nowhere.get('packs/x'), () => nowhere.size('packs/x'), () => nowhere.put('packs/x', Buffer.from('x'), { bytes: 1 })]) {
      await expect(attempt()).rejects.toThrow(Unavailable);
      await expect(attempt()).rejects.toThrow('the bucket does not exist: make it');
    }
    const stranger = openStore(place, { credentials: { accessKey: S3_KEYS.accessKey, secretKey: 'a-wrong-secret' } });
    const refused = await stranger.put('packs/x', Buffer.from('x'), { bytes: 1 }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(Unavailable);
    expect(String(refused)).not.toContain('a-wrong-secret');
  });

  describe('through a way that fails', () => faultTests(endpoint));
}

function faultTests(endpoint: string): void {
  let way: Way;
  let bucket: S3Bucket;
  beforeEach(async () => {
    way = await openWay(endpoint);
    const made = await makeBucket(endpoint);
    // Signed for this address: the real one is asked with the same Host.
    bucket = { ...made, place: { ...made.place, endpoint: new URL(way.url) } };
  });
  afterEach(() => way.close());

  const large = randomBytes(20_000_000);

  test('a few answers 500, 503 and cut connections are asked again, and nothing of it is seen', async () => {
    const blobs = openStore(bucket.place);
    way.fault = times(2, refuse(503));
    await blobs.put('packs/small', Buffer.from('small'), { bytes: 5 });
    way.fault = times(2, (request) => request.destroy());
    await blobs.put('packs/large', Readable.from([large]), { bytes: large.length });
    way.fault = times(2, refuse(500));
    expect((await buffer((await blobs.get('packs/large'))!)).equals(large)).toBe(true);
  }, 120_000);

  test('a store that answers 500 for good, or nothing at all, is Unavailable; no bytes of a put are seen', async () => {
    const blobs = openStore(bucket.place, { silentMsMax: 300 });
    for (const fault of [refuse(500), () => undefined]) {
      way.fault = fault;
      await expect(blobs.put('packs/x', Buffer.from('x'), { bytes: 1 })).rejects.toThrow(Unavailable);
      await expect(blobs.put('packs/x', Readable.from([large]), { bytes: large.length })).rejects.toThrow(Unavailable);
      await expect(blobs.get('packs/x')).rejects.toThrow(Unavailable);
      await expect(blobs.size('packs/x')).rejects.toThrow(Unavailable);
      await expect((async () => { for await (const _ of blobs.list('packs/')); })()).rejects.toThrow(Unavailable);
      way.fault = undefined;
      expect(await openStore(bucket.place).get('packs/x')).toBeUndefined();
    }
  }, 120_000);

  test('a body that is cut, or falls silent, ends as Unavailable and never as the end', async () => {
    await openStore(bucket.place).put('packs/x', Readable.from([large]), { bytes: large.length });
    const blobs = openStore(bucket.place, { silentMsMax: 1_000 });
    for (const end of [(response: ServerResponse) => response.destroy(), () => undefined]) {
      way.fault = (_request, response) => {
        response.writeHead(200, { 'content-length': String(large.length) });
        response.write(large.subarray(0, 5_000_000), () => end(response));
      };
      const body = await blobs.get('packs/x');
      await expect(buffer(body!)).rejects.toThrow(Unavailable);
    }
  }, 120_000);

  test('a range of which fewer bytes come than were asked for is Unavailable, not a shorter range', async () => {
    const blobs = openStore(bucket.place);
    await blobs.put('packs/x', Buffer.from('0123456789'), { bytes: 10 });
    way.fault = (_request, response) => response.writeHead(206, { 'content-length': '3' }).end('234');
    await expect(blobs.get('packs/x', { range: { offset: 2, length: 5 } })).rejects.toThrow('it was cut short');
  });

  test('bytes that were changed on the way in are refused by the store, whole or in parts', async () => {
    const blobs = openStore(bucket.place);
    way.fault = (request, _response, pass) => pass(request.method === 'PUT' ? (piece) => { piece[0]! ^= 1; return piece; } : undefined);
    await expect(blobs.put('packs/x', Buffer.from('whole'), { bytes: 5 })).rejects.toThrow(Unavailable);
    await expect(blobs.put('packs/x', Readable.from([large]), { bytes: large.length })).rejects.toThrow(Unavailable);
    way.fault = undefined;
    expect(await blobs.get('packs/x')).toBeUndefined();
  }, 120_000);

  test('a put of parts that is given up, or whose source fails, leaves no upload behind', async () => {
    const { place } = bucket;
    const blobs = openStore(place);
    const failing = async function* () { yield large; throw new Error('the source went away'); };
    await expect(blobs.put('packs/x', Readable.from(failing()), { bytes: 40_000_000 })).rejects.toThrow('the source went away');
    const giveUp = new AbortController();
    let reads = 0;
    const hanging = new Readable({ read() { if (reads++ === 0) this.push(large); } });
    way.fault = (request, _response, pass) => { if (request.url?.includes('partNumber=1') === true) giveUp.abort(new Error('given up')); pass(); };
    await expect(blobs.put('packs/x', hanging, { bytes: 40_000_000, signal: giveUp.signal })).rejects.toThrow('given up');
    const uploads = way.requests.filter((one) => /^POST .*\?uploads/.test(one)).length;
    expect([uploads, way.requests.filter((one) => /^DELETE .*\?uploadId=/.test(one)).length]).toEqual([2, 2]);
    expect(await blobs.get('packs/x')).toBeUndefined();
  }, 120_000);

  test.each<[string, (blobs: BlobStore, signal: AbortSignal) => Promise<unknown>]>([
    ['a put', (blobs, signal) => blobs.put('packs/x', Buffer.from('x'), { bytes: 1, signal })],
    ['a put of parts', (blobs, signal) => blobs.put('packs/x', Readable.from([large]), { bytes: large.length, signal })],
    ['a read', (blobs, signal) => blobs.get('packs/x', { signal })],
    ['a read of nothing', (blobs, signal) => blobs.get('packs/x', { range: { offset: 0, length: 0 }, signal })],
  ])('%s that is given up leaves a silent store at once, and the wait between two tries', async (_, work) => {
    // Longer than any test may take: nothing but the signal ends these.
    const blobs = openStore(bucket.place, { silentMsMax: 600_000, sleep: (_ms, signal) => new Promise((resolve) => { signal?.addEventListener('abort', () => resolve()); waits(); }) });
    let waits = () => {};
    for (const fault of [() => waits(), refuse(503)]) {
      const [giveUp, waiting] = [new AbortController(), new Promise<void>((resolve) => { waits = resolve; })];
      way.fault = fault;
      const given = work(blobs, giveUp.signal);
      await Promise.race([waiting, given]);
      giveUp.abort(new Error('the process is stopping'));
      await expect(given).rejects.toThrow('the process is stopping');
    }
  });

  test('answers 500 of which nobody reads the rest hold no connection', async () => {
    const blobs = openStore(bucket.place, { sleep: async () => undefined });
    way.fault = (request, response) => { request.resume(); response.writeHead(500).end('<Error><Code>InternalError</Code></Error>'); };
    await Promise.all(Array.from({ length: 100 }, () => expect(blobs.get('packs/x')).rejects.toThrow(Unavailable)));
    way.fault = undefined;
    await blobs.put('packs/x', Buffer.from('x'), { bytes: 1 });
    expect((await buffer((await blobs.get('packs/x'))!)).toString()).toBe('x');
  });

  describe('while as many bodies are open as may be, of which nobody reads one', () => {
    const openAll = async (silentMsMax: number) => {
      const blobs = openStore(bucket.place, { silentMsMax });
      await openStore(bucket.place).put('packs/x', Buffer.from('0123456789'), { bytes: 10 });
      way.fault = (request, response, pass) => {
        if (request.method !== 'GET') { pass(); return; }
        response.writeHead(200, { 'content-length': '10' });
        response.write('01234');
      };
      const open = await Promise.all(Array.from({ length: BODIES_OPEN_MAX }, () => blobs.get('packs/x')));
      return { blobs, close: () => { for (const body of open) body!.destroy(); way.fault = undefined; } };
    };

    test('everything else goes on, and one more waits until one of them is let go', async () => {
      const { blobs, close } = await openAll(600_000);
      expect(await blobs.size('packs/x')).toBe(10);
      await blobs.put('packs/y', Buffer.from('y'), { bytes: 1 });
      const [waits, giveUp] = [blobs.get('packs/y'), new AbortController()];
      const leaves = blobs.get('packs/x', { signal: giveUp.signal });
      // By then both stand in the queue.
      await blobs.size('packs/x');
      giveUp.abort(new Error('the process is stopping'));
      await expect(leaves).rejects.toThrow('the process is stopping');
      close();
      expect((await buffer((await waits)!)).toString()).toBe('y');
    });

    test('one more is told that it got no connection', async () => {
      const { blobs, close } = await openAll(2_000);
      await expect(blobs.get('packs/x')).rejects.toThrow('cannot read packs/x: NoAnswer');
      close();
    });
  });

  test('a signal that comes before the request is made is heard, too', async () => {
    way.fault = () => undefined;
    const giveUp = new AbortController();
    const given = openStore(bucket.place, { silentMsMax: 600_000 }).get('packs/x', { signal: giveUp.signal });
    giveUp.abort(new Error('the process is stopping'));
    await expect(given).rejects.toThrow('the process is stopping');
  });
}
