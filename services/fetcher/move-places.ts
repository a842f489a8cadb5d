import { moveColumns, type MovePlaces } from '#shared/log/moved-places.ts';

/** Which ends the heads are of. */
export const movePlaces: MovePlaces = (client) => moveColumns(client, 'fetcher_heads', ['position']);
