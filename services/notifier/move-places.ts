import { moveColumns, type MovePlaces } from '#shared/log/moved-places.ts';

/** What followers hold and are to be told next. Their cursors are of the old log, and so snapshots that wait to be acknowledged are of no use: they are taken anew. */
export const movePlaces: MovePlaces = async (client, { oldEpoch, newEpoch }) => {
  await client.query('delete from follower_snapshots');
  await moveColumns(client, 'followers', ['planned_position', 'held_position']);
  // What was planned from yet another log stays told apart.
  await client.query('update followers set seen_epoch = null, seen_position = $1 where seen_epoch is distinct from $2', ['', oldEpoch]);
  await moveColumns(client, 'followers', ['seen_position']);
  await client.query('update followers set seen_epoch = $1 where seen_epoch is not null', [newEpoch]);
  await moveColumns(client, 'follower_refs', ['position']);
  await moveColumns(client, 'follower_groups', ['position']);
};
