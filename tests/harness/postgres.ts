import { randomBytes } from 'node:crypto';
import pg from 'pg';

export type FreshDatabase = { url: string; drop(): Promise<void> };

/** An empty database of the caller's own on the run's server; `drop` also ends the connections still open to it. */
export async function freshDatabase(): Promise<FreshDatabase> {
  const adminUrl = process.env['TEKAI_TEST_DATABASE_URL'];
  if (!adminUrl) throw new Error('no TEKAI_TEST_DATABASE_URL: run this test by Jest, whose globalSetup starts a server, or name one');
  const name = `test_${randomBytes(8).toString('hex')}`;
  await runAsAdmin(adminUrl, `create database ${name}`);

  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => runAsAdmin(adminUrl, `drop database if exists ${name} with (force)`) };
}

async function runAsAdmin(adminUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
