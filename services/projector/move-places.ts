import { BEGINNING } from '#schemas/brand.ts';
import type { MovePlaces } from '#shared/log/moved-places.ts';

/** Everything is folded again, from the new log: the code that proves the model makes it, and no column can be forgotten. */
export const movePlaces: MovePlaces = async (client) => {
  const { rows } = await client.query<{ name: string }>(`select tablename as name from pg_tables where schemaname = 'read_model' and tablename <> 'progress'`);
  await client.query(`truncate ${rows.map(({ name }) => `read_model.${name}`).join(', ')}`);
  await client.query('update read_model.progress set position = $1', [BEGINNING]);
};
