import { moveColumns, type MovePlaces } from '#shared/log/moved-places.ts';

/** Up to where the last look at each codebase speaks of versions. */
export const movePlaces: MovePlaces = (client) => moveColumns(client, 'codebase_looks', ['position']);
