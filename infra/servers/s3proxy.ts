import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { installed, obtain } from './obtain.ts';
import { accepts, freePort, runServer, type RunningServer, type ServerOptions } from './server.ts';

const VERSION = '3.0.0';
const JAR = 's3proxy.jar';
/** The only ones that it lets in. */
export const S3_KEYS = { accessKey: 'tekai-access', secretKey: 'tekai-secret' } as const;

export interface S3ProxyOptions extends ServerOptions {
  /** A key store for TLS: then it speaks https only. */
  readonly tls?: { readonly keyStore: string; readonly password: string };
}

/** S3Proxy, an S3 server that keeps all in memory. @throws NotHere without Java or Maven */
export async function startS3Proxy({ directory, port, tls }: S3ProxyOptions): Promise<RunningServer> {
  const java = await installed('java', 'default-jre-headless');
  const jar = path.join(await obtainS3Proxy(), JAR);
  const own = port ?? await freePort();
  const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${own}`;
  await mkdir(directory, { recursive: true });
  const file = path.join(directory, 's3proxy.conf');
  await writeFile(file, Object.entries({
    ...(tls === undefined ? { 's3proxy.endpoint': url } : { 's3proxy.secure-endpoint': url, 's3proxy.keystore-path': tls.keyStore, 's3proxy.keystore-password': tls.password }),
    's3proxy.authorization': 'aws-v2-or-v4', 's3proxy.identity': S3_KEYS.accessKey, 's3proxy.credential': S3_KEYS.secretKey,
    // In memory: over a folder a key could not begin another.
    'jclouds.provider': 'transient',
  }).map(([name, value]) => `${name}=${value}\n`).join(''));
  return runServer({ name: `s3proxy ${VERSION}`, port: own, url, command: java, args: ['-Xmx1g', '-jar', jar, '--properties', file], isReady: () => accepts(own) });
}

export function obtainS3Proxy(): Promise<string> {
  return obtain({
    name: `s3proxy-${VERSION}`, command: 'mvn',
    args: (folder) => ['-q', 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy', `-Dartifact=org.gaul:s3proxy:${VERSION}:jar:jar-with-dependencies`, `-DoutputDirectory=${folder}`, '-Dmdep.stripVersion=true', '-Dmdep.stripClassifier=true'],
  });
}
