import pg from 'pg';
import { freshDatabase } from './postgres.ts';

async function namesOfTables(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>(`select tablename as name from pg_tables where schemaname = 'public'`);
    return rows.map((row) => row.name);
  } finally {
    await client.end();
  }
}

test('two fresh databases do not see each other', async () => {
  const [left, right] = await Promise.all([freshDatabase(), freshDatabase()]);
  const client = new pg.Client({ connectionString: left.url });
  await client.connect();
  await client.query('create table mine ()');
  await client.end();

  expect(await namesOfTables(left.url)).toEqual(['mine']);
  expect(await namesOfTables(right.url)).toEqual([]);
  await Promise.all([left.drop(), right.drop()]);
});

test('a database can be dropped while somebody is connected to it', async () => {
  const database = await freshDatabase();
  const client = new pg.Client({ connectionString: database.url });
  const ended = new Promise((resolve) => { client.on('error', resolve); });
  await client.connect();
  await database.drop();
  await ended;
  await expect(namesOfTables(database.url)).rejects.toThrow(/does not exist/);
});
