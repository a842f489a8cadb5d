import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Storage } from '@google-cloud/storage';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { parseBlobsUrl, type BlobsPlace } from '#shared/runtime/parse-blobs-url.ts';
import { openWay, refuse, times, type Fault, type Way } from '../../tests/stack/failing-way.ts';
import { sleepUntilTold } from '../../tests/stack/s3-bucket.ts';
import { describeWith } from '../../tests/stack/stack-test.ts';
import { blobStoreContract } from './blob-store.contract.ts';
import type { BlobStore } from './blob-store.ts';
import { createGcsBlobStore, type GcsBlobStoreOptions } from './gcs-blob-store.ts';

const large = randomBytes(20_000_000);
/** An upload that was given up is tried again by the client for some seconds more, which nobody can end: 1 + 2 + 4 s, and what the attempts take. */
const CLIENT_TRIES_MS = 20_000;
// Of the whole file: what the client tries once the file is over fells the process, or the next test in it.
afterAll(() => sleep(CLIENT_TRIES_MS));

type Place = Extract<BlobsPlace, { readonly kind: 'gcs' }>;

const openStore = (given: Omit<GcsBlobStoreOptions, 'sleep'>) => createGcsBlobStore({ ...given, sleep: sleepUntilTold });

describeWith('TEKAI_TEST_GCS', 'fake-gcs-server', (endpoint) => {
  const makeBucket = async (prefix = ''): Promise<Place> => {
    const name = `tekai-${randomBytes(6).toString('hex')}`;
    await new Storage({ apiEndpoint: endpoint, projectId: 'test' }).createBucket(name);
    return parseBlobsUrl(`gs://${name}${prefix}?endpoint=${endpoint}`) as Place;
  };
  blobStoreContract('GCS (fake-gcs-server)', async () => ({ blobs: openStore({ place: await makeBucket() }), close: async () => undefined }));
  blobStoreContract('GCS (fake-gcs-server), below a prefix', async () => ({ blobs: openStore({ place: await makeBucket('/a/b') }), close: async () => undefined }));

  test('a bucket that is not there is an outage that says what to do, never an absent blob', async () => {
    const nowhere = openStore({ place: { ...await makeBucket(), bucket: 'tekai-nowhere' } });
    for (const attempt of [() => nowhere.get('packs/x'), () => nowhere.size('packs/x'), () => nowhere.delete('packs/x')]) await expect(attempt()).rejects.toThrow('the bucket does not exist: make it');
    await expect(nowhere.put('packs/x', Buffer.from('x'), { bytes: 1 })).rejects.toThrow(Unavailable);
  });

  test('a list of more than a page has all of it', async () => {
    const blobs = openStore({ place: await makeBucket() });
    for (let n = 0; n < 1_050; n += 50) await Promise.all(Array.from({ length: 50 }, (_, i) => blobs.put(`packs/${n + i}`, Buffer.from('x'), { bytes: 1 })));
    const names = new Set<string>();
    for await (const { name } of blobs.list('packs/')) names.add(name);
    expect(names.size).toBe(1_050);
  }, 120_000);

  describe('through a way that fails', () => {
    let way: Way;
    let blobs: BlobStore;
    beforeEach(async () => {
      way = await openWay(endpoint);
      blobs = openStore({ place: { ...await makeBucket(), endpoint: new URL(way.url) } });
    });
    afterEach(() => way.close());

    test('a few answers 503 and cut connections are asked again, and nothing of it is seen', async () => {
      for (const fault of [refuse(503), (request) => request.destroy()] as Fault[]) {
        way.fault = times(1, fault);
        await blobs.put('packs/x', Buffer.from('whole'), { bytes: 5 });
        way.fault = times(1, fault);
        await blobs.put('packs/large', Readable.from([large]), { bytes: large.length });
        way.fault = times(1, fault);
        expect((await buffer((await blobs.get('packs/x', { range: { offset: 1, length: 3 } }))!)).toString()).toBe('hol');
        way.fault = times(1, fault);
        expect((await buffer((await blobs.get('packs/large'))!)).equals(large)).toBe(true);
        way.fault = times(1, fault);
        expect(await blobs.delete('packs/x')).toBe(true);
      }
    });

    test('bytes that were changed on the way in are refused by the store, and what was there stays', async () => {
      await blobs.put('packs/x', Buffer.from('whole'), { bytes: 5 });
      way.fault = (_request, _response, pass) => pass((piece) => Buffer.from(piece.toString('latin1').replace('WHOLE', 'WHALE'), 'latin1'));
      await expect(blobs.put('packs/x', Buffer.from('WHOLE'), { bytes: 5 })).rejects.toThrow(Unavailable);
      way.fault = undefined;
      expect((await buffer((await blobs.get('packs/x'))!)).toString()).toBe('whole');
    });
  });
});

describe('a Google store that fails', () => {
  let server: Server | undefined;
  afterEach(async () => { server?.closeAllConnections(); server?.close(); if (server !== undefined) await once(server, 'close'); });
  const storeOf = async (listener: RequestListener, silentMsMax = 1_000) => {
    server = createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return openStore({ place: parseBlobsUrl(`gs://tekai-blobs?endpoint=http://127.0.0.1:${(server.address() as AddressInfo).port}`) as Place, silentMsMax });
  };
  test('500 for good, or nothing at all, is Unavailable', async () => {
    for (const listener of [(request, response) => { request.resume(); response.writeHead(500).end(); }, () => undefined] as RequestListener[]) {
      const blobs = await storeOf(listener);
      await expect(blobs.put('packs/x', Buffer.from('x'), { bytes: 1 })).rejects.toThrow(Unavailable);
      await expect(blobs.get('packs/x', { range: { offset: 0, length: 1 } })).rejects.toThrow(Unavailable);
      await expect(blobs.size('packs/x')).rejects.toThrow(Unavailable);
      server?.closeAllConnections();
      server?.close();
    }
  }, 120_000);

  test('a body that is cut, or falls silent, ends as Unavailable and never as the end', async () => {
    for (const end of ['cut', 'silent']) {
      const blobs = await storeOf((request, response) => {
        if (!request.url!.includes('alt=media')) { response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ name: 'packs/x', size: String(large.length) })); return; }
        response.writeHead(206, { 'content-length': String(large.length) });
        response.write(large.subarray(0, 5_000_000), () => { if (end === 'cut') response.destroy(); });
      });
      await expect(buffer((await blobs.get('packs/x'))!)).rejects.toThrow(Unavailable);
      server?.closeAllConnections();
      server?.close();
    }
  }, 120_000);

  test('a range of which fewer bytes come than were asked for is Unavailable, not a shorter range', async () => {
    const blobs = await storeOf((_request, response) => response.writeHead(206, { 'content-length': '3' }).end('234'));
    await expect(blobs.get('packs/x', { range: { offset: 2, length: 5 } })).rejects.toThrow('it was cut short');
  });

  test('bytes of a large blob that were changed on the way in are found by their checksum, and deleted', async () => {
    const asked: string[] = [];
    const blobs = await storeOf((request, response) => {
      asked.push(request.method!);
      request.resume().once('end', () => {
        if (request.method === 'POST') response.writeHead(200, { location: `http://${request.headers.host}/session` }).end();
        else if (request.method === 'PUT' && !/\/\d+$/.test(request.headers['content-range'] ?? '')) response.writeHead(308, { range: 'bytes=0-16777215' }).end();
        else response.writeHead(request.method === 'DELETE' ? 204 : 200, { 'content-type': 'application/json' }).end(request.method === 'DELETE' ? undefined : JSON.stringify({ name: 'packs/x', size: String(large.length), crc32c: 'AAAAAA==' }));
      });
    });
    await expect(blobs.put('packs/x', Readable.from([large]), { bytes: large.length })).rejects.toThrow(Unavailable);
    expect(asked).toEqual(['POST', 'PUT', 'PUT', 'DELETE']);
  });

  test.each<[string, (blobs: BlobStore, signal: AbortSignal) => Promise<unknown>]>([
    ['a put', (blobs, signal) => blobs.put('packs/x', Buffer.from('x'), { bytes: 1, signal })],
    ['a large put', (blobs, signal) => blobs.put('packs/x', Readable.from([large]), { bytes: large.length, signal })],
    ['a read', (blobs, signal) => blobs.get('packs/x', { signal })],
    ['a range', (blobs, signal) => blobs.get('packs/x', { range: { offset: 0, length: 1 }, signal })],
  ])('%s that is given up leaves a silent store at once', async (_, work) => {
    const giveUp = new AbortController();
    // Longer than any test may take: nothing but the signal ends it.
    const blobs = await storeOf(() => giveUp.abort(new Error('the process is stopping')), 600_000);
    await expect(work(blobs, giveUp.signal)).rejects.toThrow('the process is stopping');
  });

  test('a read that was given up before its answer begins lets its connection go once it does', async () => {
    const giveUp = new AbortController();
    let unanswered: ServerResponse | undefined;
    const blobs = await storeOf((request, response) => {
      if (!request.url!.includes('alt=media')) { response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ name: 'packs/x', size: '5' })); return; }
      unanswered = response;
      giveUp.abort(new Error('given up'));
    }, 600_000);
    await expect(blobs.get('packs/x', { signal: giveUp.signal })).rejects.toThrow('given up');
    unanswered!.writeHead(206, { 'content-length': '5' }).write('12');
    await once(unanswered!, 'close');
  });

  test('an upload that the store takes no more of ends as Unavailable', async () => {
    const blobs = await storeOf((request, response) => {
      if (request.method === 'POST') response.writeHead(200, { location: `http://${request.headers.host}/session` }).end();
    }, 500);
    await expect(blobs.put('packs/x', Readable.from([large]), { bytes: large.length })).rejects.toThrow(Unavailable);
  });
});
