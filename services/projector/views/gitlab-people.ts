import type { View } from '../view.ts';

export type GitLabPersonRow = { source_id: string; user_id: string; gitlab_user_id: number | null };

/** Whom of a GitLab somebody is; null of who was somebody there and is no longer. That two are never one of them, their stream's order decides. */
export const gitlabPeople: View<GitLabPersonRow> = {
  table: 'gitlab_people',
  key: ['source_id', 'user_id'],
  columns: { source_id: 'indexed text', user_id: 'indexed text', gitlab_user_id: 'bigint' },
  keysOf: ({ type, data }) => (type === 'user.gitlab-bound' || type === 'user.gitlab-unbound' ? [[data.sourceId, data.userId]] : []),
  fold(before, { type, data }, [source = '', user = '']) {
    if (type === 'user.gitlab-bound') return { source_id: source, user_id: user, gitlab_user_id: data.gitlabUserId };
    return type === 'user.gitlab-unbound' ? { source_id: source, user_id: user, gitlab_user_id: null } : before;
  },
};
