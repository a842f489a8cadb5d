import type { Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { moveColumns, movedPlaces, unknownPlace, type MovePlaces } from '#shared/log/moved-places.ts';

const PAGE_FACTS = 500;

interface ParkedRow { group_name: string; key: string; position: Position; fact: string; reason: string | null; since: Date; is_redriven: boolean }

/** How far each group is, and what is set aside: a parked fact is kept whole, with its place. */
export const movePlaces: MovePlaces = async (client) => {
  await moveColumns(client, 'bus_checkpoints', ['position']);
  // Out and in again: in place, a new position could meet an old one that was not moved yet.
  const { rows } = await client.query<ParkedRow>('delete from bus_parked returning *');
  for (let at = 0; at < rows.length; at += PAGE_FACTS) {
    const page = rows.slice(at, at + PAGE_FACTS);
    const moved = await movedPlaces(client, page.map(({ position }) => position));
    for (const row of page) {
      const position = moved.get(row.position);
      if (position === undefined) throw unknownPlace('bus_parked.position', row.position);
      await client.query('insert into bus_parked (group_name, key, position, fact, reason, since, is_redriven) values ($1, $2, $3, $4, $5, $6, $7)',
        [row.group_name, row.key, position, JSON.stringify({ ...JSON.parse(row.fact) as Recorded, position }), row.reason, row.since, row.is_redriven]);
    }
  }
};
