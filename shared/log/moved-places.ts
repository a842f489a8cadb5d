import type { PoolClient } from 'pg';
import type { Position } from '#schemas/brand.ts';

/** Both logs of a move. */
export interface LogsMoved { readonly oldEpoch: string; readonly newEpoch: string }

/**
 * What a service, or a store beside the log, remembers of places in it, said of the new log: each owner of tables brings its own.
 * Part of the move's transaction, in which the table `moved_places (old, new)` says where each fact has gone.
 */
export type MovePlaces = (client: PoolClient, logs: LogsMoved) => Promise<void>;

/** Says the positions in these columns of the new log. Before the beginning stays there. @throws when one is no fact's */
export async function moveColumns(client: PoolClient, table: string, columns: readonly string[]): Promise<void> {
  for (const column of columns) {
    const { rows: [lost] } = await client.query<{ position: string }>(
      `select ${column} as position from ${table} where ${column} <> '' and not exists (select from moved_places where old = ${column}) limit 1`);
    if (lost !== undefined) throw unknownPlace(`${table}.${column}`, lost.position);
    await client.query(`update ${table} set ${column} = moved.new from moved_places moved where ${column} = moved.old`);
  }
}

/** Of one fact that was kept with its place. @throws when no fact stood there */
export async function movedPlaces(client: PoolClient, positions: readonly Position[]): Promise<ReadonlyMap<Position, Position>> {
  const { rows } = await client.query<{ old: Position; new: Position }>('select old, new from moved_places where old = any($1)', [positions]);
  return new Map(rows.map((row) => [row.old, row.new]));
}

export function unknownPlace(where: string, position: string): Error {
  return new Error(`${where} names the position ${position}, at which no fact stands: this database and its log do not belong together, perhaps one of them was restored from a backup. Nothing was moved.`);
}
