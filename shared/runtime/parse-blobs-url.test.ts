import { parseBlobsUrl, WrongBlobsUrl } from './parse-blobs-url.ts';

test('an address of S3 names bucket, prefix, endpoint, region, style and authority', () => {
  expect(parseBlobsUrl('s3://tekai-blobs/a/b?endpoint=https://s3.example.com:8333&region=eu-central-1&style=host&ca=/etc/ca.pem')).toEqual({
    kind: 's3', bucket: 'tekai-blobs', prefix: 'a/b/', endpoint: new URL('https://s3.example.com:8333'), region: 'eu-central-1', style: 'host', caFile: '/etc/ca.pem',
  });
  expect(parseBlobsUrl('s3://tekai?endpoint=http://127.0.0.1:9000')).toEqual({
    kind: 's3', bucket: 'tekai', prefix: '', endpoint: new URL('http://127.0.0.1:9000'), region: 'us-east-1', style: 'path', caFile: undefined,
  });
});

test('an address of Google needs no more than a bucket', () => {
  expect(parseBlobsUrl('gs://tekai-blobs')).toEqual({ kind: 'gcs', bucket: 'tekai-blobs', prefix: '', endpoint: undefined });
  expect(parseBlobsUrl('gs://tekai-blobs/x/?endpoint=http://127.0.0.1:4443')).toEqual({ kind: 'gcs', bucket: 'tekai-blobs', prefix: 'x/', endpoint: new URL('http://127.0.0.1:4443') });
});

test.each([
  ['ftp://x', ['wanted is s3://bucket or gs://bucket, with a prefix behind a slash, and options after a ?']],
  ['s3://key:secret@tekai?endpoint=http://h', ['credentials stand in TEKAI_BLOBS_ACCESS_KEY and TEKAI_BLOBS_SECRET_KEY, and not here']],
  ['s3://X?style=up', ['the bucket has', 'endpoint says where', 'style is path or host']],
  ['s3://tekai/../x?endpoint=http://h&endpoint=http://i', ['the prefix has', 'endpoint is there twice']],
  ['s3://tekai?endpoint=http://h/path&region=x', ['endpoint is https://host']],
  ['s3://tekai?endpoint=http://h&ca=/x', ['ca goes with an endpoint']],
  ['gs://tekai?region=x', ['there is no option "region"; there is endpoint']],
])('%s is refused with every fault at once', (text, faults) => {
  const refused = (() => { try { return parseBlobsUrl(text); } catch (error) { return error; } })();
  expect(refused).toBeInstanceOf(WrongBlobsUrl);
  expect((refused as WrongBlobsUrl).faults).toEqual(faults.map((fault) => expect.stringContaining(fault)));
  expect((refused as Error).message).not.toContain('secret@');
});
