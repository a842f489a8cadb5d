import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { startS3Proxy } from '../../infra/servers/s3proxy.ts';
import type { RunningServer } from '../../infra/servers/server.ts';
import { hasOpenssl, makeAuthority } from '../../tests/harness/private-authority.ts';
import { makeBucket, openStore } from '../../tests/stack/s3-bucket.ts';
import { describeWith } from '../../tests/stack/stack-test.ts';
import { Unavailable } from '../runtime/unavailable.ts';

describeWith('TEKAI_TEST_S3', 'an S3 store over TLS', () => {
  (hasOpenssl ? describe : describe.skip)(hasOpenssl ? 'whose certificate a private authority signed' : 'NOT TRIED, no openssl', () => {
    let directory: string;
    let server: RunningServer;
    let ca: string;
    beforeAll(async () => {
      directory = await mkdtemp(path.join(tmpdir(), 'tekai-s3-tls-'));
      const authority = makeAuthority(directory);
      const own = authority.server('127.0.0.1');
      const keyStore = path.join(directory, 'store.p12');
      execFileSync('openssl', ['pkcs12', '-export', '-in', own.certFile, '-inkey', own.keyFile, '-out', keyStore, '-passout', 'pass:changeit']);
      ca = authority.certFile;
      server = await startS3Proxy({ directory, tls: { keyStore, password: 'changeit' } });
    }, 120_000);
    afterAll(async () => {
      await server?.stop();
      await rm(directory, { recursive: true, force: true });
    });

    test('is written to and read from where the address names that authority', async () => {
      const { place } = await makeBucket(server.url, { more: `&ca=${ca}` });
      const [blobs, content] = [openStore(place), Buffer.alloc(20_000_000, 7)];
      await blobs.put('packs/small', Buffer.from('small'), { bytes: 5 });
      await blobs.put('packs/large', content, { bytes: content.length });
      expect((await buffer((await blobs.get('packs/small', { range: { offset: 1, length: 3 } }))!)).toString()).toBe('mal');
      expect((await buffer((await blobs.get('packs/large'))!)).equals(content)).toBe(true);
    });

    test('is refused, with what to do, where it does not, and under another name', async () => {
      const { place } = await makeBucket(server.url, { more: `&ca=${ca}` });
      const stranger = await openStore({ ...place, caFile: undefined }).size('packs/x').catch((error: unknown) => error);
      expect(stranger).toBeInstanceOf(Unavailable);
      expect(String(stranger)).toContain('name its authority by ca= in TEKAI_BLOBS_URL');
      await expect(openStore({ ...place, endpoint: new URL(server.url.replace('127.0.0.1', 'localhost')) }).size('packs/x')).rejects.toThrow('the store\'s certificate is for another name than the endpoint in TEKAI_BLOBS_URL');
    });
  });
});
