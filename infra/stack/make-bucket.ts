import { Client } from 'minio';
import { S3_KEYS } from '../servers/s3proxy.ts';

/** An empty bucket on an S3 of ours. */
export async function makeBucket(endpoint: string, name: string): Promise<void> {
  const { hostname, port } = new URL(endpoint);
  await new Client({ endPoint: hostname, port: Number(port), useSSL: false, ...S3_KEYS, pathStyle: true }).makeBucket(name);
}
